// How a process is started: `node intake.js '{"redis": 6379, "postgres": {…}, "sqlite": null, "rows": "attempts", "port": 3000}'`.
import { Redis } from "ioredis";

export const given = JSON.parse(process.argv[2]);
export const QUEUE = "deliveries";
export const AT_ONCE = 64;

// What BullMQ asks of a connection: commands wait for Redis instead of failing.
export const redis = () => new Redis({ host: "127.0.0.1", port: given.redis, maxRetriesPerRequest: null });

export const retries = {
  attempts: 8,
  backoff: { type: "exponential", delay: 5_000, jitter: 0.2 },
  removeOnComplete: true,
  removeOnFail: { age: 7 * 24 * 3600 },
};
