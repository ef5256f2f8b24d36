/*
 * Telling others whether this process can serve. Needs `grpc-health-check`.
 */
export { GrpcHealthService, type GrpcServer } from './grpc-health.service.js';
export { HealthModule, type HealthOptions } from './health.module.js';
export { StorageHealthMonitor, type HealthCheckTiming } from './storage-health-monitor.js';
