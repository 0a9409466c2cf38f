// Each attempt is a row, durable before its job is done: in PostgreSQL, or in SQLite for a sender on one machine. With
// `rows: "all"` the state of the delivery is a row, too, changed in the same statement.
import pg from "pg";
import { AT_ONCE, given } from "./settings.js";

const COLUMNS = "message_id, endpoint_id, number, status, error, answer, duration_ms";

export async function recorder() {
  return given.sqlite ? inSqlite(given.sqlite) : inPostgres();
}

function inPostgres() {
  const pool = new pg.Pool({ ...given.postgres, max: AT_ONCE / 2 });
  const insert = `INSERT INTO attempts (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)`;
  const text =
    given.rows === "all"
      ? `WITH attempt AS (${insert}) UPDATE deliveries SET attempts = $3,
         state = CASE WHEN $4 BETWEEN 200 AND 299 THEN 'delivered' ELSE 'pending' END
         WHERE message_id = $1 AND endpoint_id = $2`
      : insert;
  return (values) => pool.query({ name: "attempt", text, values });
}

async function inSqlite(path) {
  const { default: Database } = await import("better-sqlite3");
  const database = new Database(path);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.exec(
    `CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, message_id TEXT NOT NULL, endpoint_id INTEGER NOT NULL,
     number INTEGER NOT NULL, status INTEGER, error TEXT, answer TEXT, duration_ms REAL NOT NULL,
     at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);
     CREATE INDEX IF NOT EXISTS attempts_of_a_message ON attempts (message_id)`,
  );
  const insert = database.prepare(`INSERT INTO attempts (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`);
  return (values) => insert.run(values);
}
