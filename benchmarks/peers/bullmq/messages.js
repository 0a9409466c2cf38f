// With `rows: "all"` an event and its deliveries are rows before they are jobs; else the jobs are all there is of them.
import pg from "pg";
import { given } from "./settings.js";

const text = `WITH message AS (INSERT INTO messages (id, type, body) VALUES ($1, $2, $3))
  INSERT INTO deliveries (message_id, endpoint_id) SELECT $1, unnest($4::integer[])`;

export function keeper() {
  if (given.rows !== "all") return async () => {};
  const pool = new pg.Pool({ ...given.postgres, max: 32 });
  return (id, type, body, endpoints) => pool.query({ name: "message", text, values: [id, type, body, endpoints] });
}
