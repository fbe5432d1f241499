-- SPDX-License-Identifier: MIT
-- Tables and statements of the SQLite ledger. Every text here is a constant; values are bound. What they mean: docs/ledger.md.

local M = {}

M.VERSION = 1

M.TABLES = {
  [[CREATE TABLE job (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL
  ) STRICT]],
  [[CREATE TABLE file (
    number INTEGER PRIMARY KEY, path TEXT NOT NULL, bytes INTEGER NOT NULL, mtime REAL NOT NULL, encoding TEXT NOT NULL,
    delimiter TEXT NOT NULL
  ) STRICT]],
  [[CREATE TABLE batch (
    seq INTEGER PRIMARY KEY, parent INTEGER REFERENCES batch, split INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'P' CHECK (state IN ('P','L','S','A','R','X','F','U','C')),
    fence INTEGER NOT NULL DEFAULT 0, owner TEXT, attempts INTEGER NOT NULL DEFAULT 0, doubts INTEGER NOT NULL DEFAULT 0,
    offset INTEGER NOT NULL, bytes INTEGER NOT NULL, first_row INTEGER NOT NULL, first_line INTEGER NOT NULL,
    rows INTEGER NOT NULL, accepted INTEGER NOT NULL CHECK (accepted BETWEEN 0 AND rows), body_bytes INTEGER NOT NULL,
    skip TEXT, hash TEXT, rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected BETWEEN 0 AND accepted),
    awaits INTEGER NOT NULL DEFAULT 0, receipt TEXT
  ) STRICT]],
  [[CREATE INDEX batch_pending ON batch (seq) WHERE state = 'P']],
  [[CREATE INDEX batch_open ON batch (seq) WHERE state IN ('L','S')]],
  [[CREATE TABLE attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER NOT NULL REFERENCES batch, number INTEGER NOT NULL, fence INTEGER NOT NULL,
    owner TEXT NOT NULL, hash TEXT, began REAL NOT NULL, ended REAL, verdict TEXT, cause TEXT, receipt TEXT, status INTEGER, code TEXT,
    kind TEXT, sent TEXT, guard INTEGER, bytes_sent INTEGER, body_bytes INTEGER, seconds REAL, detail TEXT, reason TEXT, message TEXT
  ) STRICT]],
  [[CREATE INDEX attempt_batch ON attempt (batch)]],
  [[CREATE TABLE row_result (
    row INTEGER PRIMARY KEY, batch INTEGER REFERENCES batch, state TEXT NOT NULL CHECK (state IN ('rejected','suppressed','duplicate')),
    cause TEXT, col TEXT, reason TEXT, code TEXT, message TEXT
  ) STRICT]],
  [[CREATE INDEX row_result_batch ON row_result (batch) WHERE batch IS NOT NULL]],
  [[CREATE TABLE late (
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER NOT NULL, attempt INTEGER, at REAL NOT NULL, source TEXT NOT NULL,
    verdict TEXT NOT NULL, detail TEXT
  ) STRICT]],
  -- An attempt is evidence: it is never taken back, and its outcome is written once.
  [[CREATE TRIGGER attempt_stays BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END]],
  [[CREATE TRIGGER attempt_outcome BEFORE UPDATE ON attempt WHEN OLD.verdict IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'an outcome is written once'); END]],
  -- What was planned is what is sent.
  [[CREATE TRIGGER batch_plan BEFORE UPDATE OF offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash ON batch
    BEGIN SELECT RAISE(ABORT, 'planned batches never change'); END]],
}

local MINE = " seq = ? AND fence = ? AND owner = ? "

M.STATEMENTS = {
  job_put = [[INSERT INTO job (one, id, created, state, record) VALUES (1, ?, ?, ?, ?)
    ON CONFLICT (one) DO UPDATE SET state = excluded.state, record = excluded.record WHERE id = excluded.id]],
  job_get = "SELECT id, created, state, record FROM job",
  file_put = [[INSERT INTO file (number, path, bytes, mtime, encoding, delimiter) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (number) DO NOTHING]],
  file_get = "SELECT number, path, bytes, mtime, encoding, delimiter FROM file ORDER BY number",
  enqueue = [[INSERT INTO batch (seq, parent, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING]],
  split = "UPDATE batch SET split = 1 WHERE seq = ? AND split = 0 AND state IN ('P','X')",
  record = [[INSERT INTO row_result (row, batch, state, cause, col, reason, code, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (row) DO NOTHING]],
  forget_batches = "DELETE FROM batch",
  forget_rows = "DELETE FROM row_result",
  claim = [[UPDATE batch SET state = 'L', fence = fence + 1, owner = ? WHERE seq IN (
      SELECT seq FROM batch INDEXED BY batch_pending WHERE state = 'P' AND split = 0 ORDER BY seq LIMIT ?)
    RETURNING seq, fence, attempts, doubts, parent, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash]],
  begin_attempt = [[INSERT INTO attempt (batch, number, fence, owner, hash, began)
    SELECT seq, attempts + 1, fence, owner, hash, ? FROM batch WHERE]] .. MINE .. [[AND state = 'L' RETURNING id, number]],
  begin_batch = "UPDATE batch SET state = 'S', attempts = attempts + 1 WHERE" .. MINE .. "AND state = 'L'",
  finish_late = [[INSERT INTO late (batch, attempt, at, source, verdict, detail) SELECT ?1, ?4, ?5, 'answer', ?6, ?7
    WHERE NOT EXISTS (SELECT 1 FROM batch WHERE seq = ?1 AND fence = ?2 AND owner = ?3 AND state = 'S')
    AND NOT EXISTS (SELECT 1 FROM attempt WHERE id = ?4 AND verdict = ?6)]],
  finish_batch = [[UPDATE batch SET state = ?4, rejected = ?5, awaits = ?6, receipt = ?7
    WHERE seq = ?1 AND fence = ?2 AND owner = ?3 AND (state = 'S' OR state = 'U' AND ?4 IN ('A','R','X'))]],
  finish_attempt = [[UPDATE attempt SET ended = ?, verdict = ?, cause = ?, receipt = ?, status = ?, code = ?, kind = ?, sent = ?,
    guard = ?, bytes_sent = ?, body_bytes = ?, seconds = ?, detail = ?, reason = ?, message = ? WHERE id = ? AND verdict IS NULL]],
  release = "UPDATE batch SET state = 'P', owner = NULL WHERE" .. MINE .. "AND state = 'L'",
  release_all = "UPDATE batch SET state = 'P', owner = NULL WHERE state = 'L' AND owner = ?",
  resolve = "UPDATE batch SET state = ?, doubts = doubts + ?, owner = NULL WHERE seq = ? AND state = ? RETURNING seq",
  resolve_late = [[INSERT INTO late (batch, attempt, at, source, verdict, detail)
    SELECT seq, (SELECT max(id) FROM attempt WHERE batch = seq), ?, ?, ?, ? FROM batch WHERE seq = ? AND state = ?]],
  recover_leased = "UPDATE batch SET state = 'P', owner = NULL WHERE state = 'L'",
  recover_attempts = [[UPDATE attempt SET ended = ?, verdict = 'ambiguous', cause = 'interrupted', kind = 'ledger', sent = 'maybe',
    detail = 'the process ended between sending and the outcome'
    WHERE verdict IS NULL AND batch IN (SELECT seq FROM batch WHERE state = 'S')]],
  recover_sent = "UPDATE batch SET state = 'U' WHERE state = 'S'",
  progress = [[SELECT state, count(*), coalesce(sum(accepted), 0), coalesce(sum(rejected), 0), coalesce(sum(awaits * (accepted - rejected)), 0),
    coalesce(sum(doubts > 0), 0) FROM batch WHERE split = 0 GROUP BY state]],
  progress_rows = "SELECT state, count(*) FROM row_result WHERE batch IS NULL GROUP BY state",
  progress_attempts = "SELECT count(*), coalesce(sum(verdict IS NULL), 0), coalesce(sum(body_bytes), 0) FROM attempt",
  scan_batches = [[SELECT seq, state, fence, attempts, doubts, parent, offset, bytes, first_row, first_line, rows, accepted, body_bytes,
    skip, hash, rejected, awaits, receipt FROM batch WHERE split = 0 AND seq > ? ORDER BY seq LIMIT ?]],
  scan_attempts = [[SELECT a.id, a.batch, a.number, a.fence, a.began, a.ended, a.verdict, a.cause, a.receipt, a.status, a.code, a.kind,
    a.sent, a.guard, a.bytes_sent, a.body_bytes, a.seconds, a.detail, a.reason, a.message, b.first_row, b.accepted
    FROM attempt a JOIN batch b ON b.seq = a.batch WHERE a.id > ? ORDER BY a.id LIMIT ?]],
  scan_rows = [[SELECT row, batch, state, cause, col, reason, code, message FROM row_result WHERE row > ? ORDER BY row LIMIT ?]],
  scan_late = "SELECT id, batch, attempt, at, source, verdict, detail FROM late WHERE id > ? ORDER BY id LIMIT ?",
  rows_of = [[SELECT row, batch, state, cause, col, reason, code, message FROM row_result WHERE batch = ? ORDER BY row]],
  last_of = [[SELECT id, batch, number, fence, began, ended, verdict, cause, receipt, status, code, kind,
    sent, guard, bytes_sent, body_bytes, seconds, detail, reason, message FROM attempt WHERE batch = ? ORDER BY id DESC LIMIT 1]],
  reasons = [[SELECT state, cause, col, reason, code, count(*) FROM row_result WHERE batch IS NULL
    GROUP BY state, cause, col, reason, code ORDER BY count(*) DESC, 1, 2, 3, 4, 5]],
}

local ATTEMPT = { "id", "batch", "number", "fence", "began", "ended", "verdict", "cause", "receipt", "status", "code", "kind", "sent",
  "guard", "bytes_sent", "body_bytes", "seconds", "detail", "reason", "message" }

local function with(list, ...)
  local new = {}
  for i, name in ipairs(list) do
    new[i] = name
  end
  for _, name in ipairs({ ... }) do
    new[#new + 1] = name
  end
  return new
end

local ROW = { "row", "batch", "state", "cause", "column", "reason", "code", "message" }

---Names of what a query gives, in its order.
M.COLUMNS = {
  claim = { "index", "fence", "attempts", "doubts", "parent", "offset", "bytes", "first_row", "first_line", "rows", "accepted", "body_bytes",
    "skip", "hash" },
  batches = { "index", "state", "fence", "attempts", "doubts", "parent", "offset", "bytes", "first_row", "first_line", "rows", "accepted",
    "body_bytes", "skip", "hash", "rejected", "awaits", "receipt" },
  attempts = with(ATTEMPT, "first_row", "rows"),
  last_of = ATTEMPT,
  rows = ROW,
  rows_of = ROW,
  late = { "id", "batch", "attempt", "at", "source", "verdict", "detail" },
  reasons = { "state", "cause", "column", "reason", "code", "count" },
  files = { "number", "path", "bytes", "mtime", "encoding", "delimiter" },
}

return M
