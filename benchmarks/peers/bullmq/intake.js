// POST /events: one job in Redis for each endpoint, then 202.
import { randomUUID } from "node:crypto";
import { Queue } from "bullmq";
import express from "express";
import { given, QUEUE, redis, retries } from "./settings.js";
import { watchEndpoints } from "./endpoints.js";
import { keeper } from "./messages.js";

const endpoints = await watchEndpoints();
const keep = keeper();
const queue = new Queue(QUEUE, { connection: redis(), defaultJobOptions: retries });
const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use(express.json({ limit: "1mb" }));

app.post("/events", async (request, response) => {
  const { type, data } = request.body ?? {};
  if (typeof type !== "string" || typeof data !== "object" || data === null) {
    response.status(400).json({ error: "type and data are required" });
    return;
  }
  const id = `msg_${randomUUID()}`;
  const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
  await keep(id, type, body, [...endpoints.keys()]);
  const jobs = [...endpoints.keys()].map((endpoint) => ({ name: type, data: { id, endpoint, body } }));
  if (jobs.length === 1) await queue.add(jobs[0].name, jobs[0].data);
  else await queue.addBulk(jobs);
  response.status(202).json({ id });
});

app.get("/health", (_, response) => response.json({ ok: true }));

const server = app.listen(given.port, "127.0.0.1");
process.on("SIGTERM", () => {
  server.closeAllConnections();
  queue.close().finally(() => process.exit(0));
});
