// Endpoints are rows; each process keeps them in memory and looks again every few seconds.
import pg from "pg";
import { given } from "./settings.js";

const AGAIN_MS = 5_000;

export async function watchEndpoints() {
  const pool = new pg.Pool({ ...given.postgres, max: 1 });
  const endpoints = new Map();
  const look = async () => {
    const { rows } = await pool.query("SELECT id, url, secret FROM endpoints");
    endpoints.clear();
    for (const { id, url, secret } of rows) {
      endpoints.set(id, { url, key: Buffer.from(secret.replace(/^whsec_/, ""), "base64") });
    }
  };
  await look();
  setInterval(() => look().catch((error) => console.error(error)), AGAIN_MS).unref();
  return endpoints;
}
