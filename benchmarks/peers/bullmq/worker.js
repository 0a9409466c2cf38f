// Sends what is queued: signed, 64 at once, every attempt recorded, tried again by BullMQ when it throws.
import { createHmac } from "node:crypto";
import { Worker } from "bullmq";
import { Agent, request } from "undici";
import { AT_ONCE, QUEUE, redis } from "./settings.js";
import { watchEndpoints } from "./endpoints.js";
import { recorder } from "./attempts.js";

const endpoints = await watchEndpoints();
const record = await recorder();
const agent = new Agent({ connections: AT_ONCE, pipelining: 1, keepAliveTimeout: 30_000 });
const LONGEST_ANSWER = 16_384;

async function deliver(job) {
  const { id, endpoint: endpointId, body } = job.data;
  const endpoint = endpoints.get(endpointId);
  if (!endpoint) return;
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", endpoint.key).update(`${id}.${timestamp}.${body}`).digest("base64");
  const began = performance.now();
  let status = null;
  let answer = null;
  let error = null;
  try {
    const response = await request(endpoint.url, {
      dispatcher: agent,
      method: "POST",
      headers: {
        "content-type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        "webhook-signature": `v1,${signature}`,
      },
      body,
      headersTimeout: 15_000,
      bodyTimeout: 15_000,
    });
    status = response.statusCode;
    answer = (await response.body.text()).slice(0, LONGEST_ANSWER);
  } catch (thrown) {
    error = String(thrown.message);
  }
  await record([id, endpointId, job.attemptsMade + 1, status, error, answer, performance.now() - began]);
  if (status === null || status < 200 || status > 299) throw new Error(error ?? `status ${status}`);
}

const worker = new Worker(QUEUE, deliver, { connection: redis(), concurrency: AT_ONCE });
worker.on("error", (error) => console.error(error));
process.on("SIGTERM", () => worker.close().finally(() => process.exit(0)));
