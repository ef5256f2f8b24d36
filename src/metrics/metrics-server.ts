import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Logger } from '@nestjs/common';
import { ConfigurationError } from '../config/configuration-error.js';
import type { TaskMetrics } from './task-metrics.js';

/** Serves metrics at `GET /metrics`. */
export class MetricsServer {
  readonly #logger = new Logger(MetricsServer.name);
  readonly #server: Server;

  constructor(private readonly metrics: Pick<TaskMetrics, 'contentType' | 'read'>) {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  /**
   * @returns the URL of the metrics
   * @throws {ConfigurationError} when the address cannot be listened at
   */
  async listen(host: string, port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => {
        reject(
          new ConfigurationError(
            `PROMETHEUS_HOST is "${host}" and PROMETHEUS_PORT is ${port}, where metrics cannot be served; write another port or address: ${error.message}`,
            { cause: error },
          ),
        );
      });
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address();
    const boundPort = typeof address === 'object' && address !== null ? address.port : port;
    return `http://${host.includes(':') ? `[${host}]` : host}:${boundPort}/metrics`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      // Prometheus keeps its connection open between two scrapes.
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0];
    if (path !== '/metrics') {
      response.writeHead(404).end('Metrics are at /metrics\n');
    } else if (request.method !== 'GET') {
      response.writeHead(405, { allow: 'GET' }).end();
    } else {
      try {
        const body = await this.metrics.read();
        response.writeHead(200, { 'content-type': this.metrics.contentType }).end(body);
      } catch (error) {
        this.#logger.error(
          'The metrics cannot be read',
          error instanceof Error ? error.stack : String(error),
        );
        response.writeHead(500).end();
      }
    }
  }
}
