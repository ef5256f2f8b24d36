# syntax=docker/dockerfile:1
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json nest-cli.json ./
COPY src ./src
RUN npm run build

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json docker/service-manifest.mjs ./
RUN node service-manifest.mjs && rm service-manifest.mjs \
  && npm install --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production GRPC_HOST=0.0.0.0
WORKDIR /app
COPY --from=dependencies /app ./
COPY --from=build /build/dist ./dist
COPY docker/health-check.mjs ./
USER node
EXPOSE 50051
HEALTHCHECK --interval=5s --timeout=3s --start-period=40s CMD ["node", "health-check.mjs"]
# No npm in between: it would not pass SIGTERM on.
CMD ["node", "dist/main.js"]
