-- SPDX-License-Identifier: MIT
-- Tables and statements of the SQLite ledger. Every SQL text is a constant; values are bound. Semantics: docs/ledger.md. Statements that
-- run per batch while sending (begin, finish) find their row by rowid, without any index, trigger, foreign key or list (for which SQLite
-- would create a temporary table each time). The size of a batch's row does not change meanwhile, so it stays in place: owner and time are
-- in it from the start, the receipt is in its attempt.

local M = {}

M.VERSION = 4

local TABLES = {
  [[CREATE TABLE job (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL
  ) STRICT]],
  [[CREATE TABLE file (
    number INTEGER PRIMARY KEY, path TEXT NOT NULL, bytes INTEGER NOT NULL, mtime REAL NOT NULL, encoding TEXT NOT NULL,
    delimiter TEXT NOT NULL
  ) STRICT]],
  [[CREATE TABLE batch (
    seq INTEGER PRIMARY KEY, parent INTEGER REFERENCES batch, split INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'P' CHECK (state = 'S' OR state = 'A' OR state = 'P'
      OR state = 'R' OR state = 'X' OR state = 'U' OR state = 'C' OR state = 'F'),
    fence INTEGER NOT NULL DEFAULT 0, owner TEXT, attempts INTEGER NOT NULL DEFAULT 0, began REAL, doubts INTEGER NOT NULL DEFAULT 0,
    offset INTEGER NOT NULL, bytes INTEGER NOT NULL, first_row INTEGER NOT NULL, first_line INTEGER NOT NULL,
    rows INTEGER NOT NULL, accepted INTEGER NOT NULL CHECK (accepted BETWEEN 0 AND rows), body_bytes INTEGER NOT NULL,
    skip TEXT, hash TEXT, rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected BETWEEN 0 AND accepted),
    awaits INTEGER NOT NULL DEFAULT 0, receipt TEXT, before TEXT
  ) STRICT]],
  [[CREATE INDEX batch_parent ON batch (parent) WHERE parent IS NOT NULL]],
  -- A finished attempt. One in progress is recorded in its batch: state S with fence, owner, attempts and began. The id is computed from batch and
  -- number: it is known beforehand, and a batch's attempts lie together.
  [[CREATE TABLE attempt (
    id INTEGER PRIMARY KEY CHECK (id = batch * 1048576 + number), batch INTEGER NOT NULL, number INTEGER NOT NULL,
    fence INTEGER NOT NULL, owner TEXT NOT NULL, began REAL NOT NULL, ended REAL NOT NULL, verdict TEXT NOT NULL, cause TEXT, receipt TEXT,
    status INTEGER, code TEXT, kind TEXT, sent TEXT, guard INTEGER, bytes_sent INTEGER, body_bytes INTEGER, seconds REAL, detail TEXT,
    reason TEXT, message TEXT
  ) STRICT]],
  [[CREATE TABLE row_result (
    row INTEGER PRIMARY KEY, batch INTEGER REFERENCES batch, state TEXT NOT NULL CHECK (state = 'rejected' OR state = 'suppressed' OR state = 'duplicate'
      OR state = 'unchanged'),
    cause TEXT, col TEXT, reason TEXT, code TEXT, message TEXT
  ) STRICT]],
  [[CREATE INDEX row_result_batch ON row_result (batch) WHERE batch IS NOT NULL]],
  [[CREATE TABLE late (
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch INTEGER NOT NULL, attempt INTEGER, at REAL NOT NULL, source TEXT NOT NULL,
    verdict TEXT NOT NULL, detail TEXT
  ) STRICT]],
  -- An attempt is evidence: it is never deleted, and its outcome is written once.
  [[CREATE TRIGGER attempt_stays BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempts are never deleted'); END]],
  [[CREATE TRIGGER attempt_outcome BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'an outcome is written once'); END]],
  [[CREATE TRIGGER batch_stays BEFORE DELETE ON batch WHEN OLD.attempts > 0
    BEGIN SELECT RAISE(ABORT, 'a batch that was sent is never deleted'); END]],
  -- The plan of a batch is immutable.
  [[CREATE TRIGGER batch_plan BEFORE UPDATE OF offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash ON batch
    BEGIN SELECT RAISE(ABORT, 'planned batches never change'); END]],
}

-- The schema of a new file, executed in one transaction.
M.TEXT = table.concat(TABLES, ";\n") .. ";\nPRAGMA user_version = " .. M.VERSION

local MINE = " seq = ?1 AND fence = ?2 AND owner = ?3 "

local PENDING = [[seq, fence, attempts, doubts, parent, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash FROM batch
  WHERE state = 'P' AND split = 0]]

-- The platform's id of the batch: from the last attempt, unless it was learned in another way.
local RECEIPT = "coalesce(b.receipt, (SELECT a.receipt FROM attempt a WHERE a.id = b.seq * 1048576 + b.attempts))"

local BATCH = [[seq, state, fence, attempts, doubts, parent, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash, rejected,
  awaits, ]] .. RECEIPT

-- The attempts of the batches above ?1 up to ?2.
local ATTEMPTS_OF_RANGE = "a.id > ?1 * 1048576 + 1048575 AND a.id <= ?2 * 1048576 + 1048575 "

-- Batches that were sent again by order, so that more than one attempt may have arrived. For a split batch, the attempts of its pieces count.
local REPEATED = [[ b.doubts > 0 AND (SELECT count(*) FROM attempt a WHERE a.id BETWEEN b.seq * 1048576 AND b.seq * 1048576 + 1048575
    AND (a.verdict = 'accepted' OR a.verdict = 'partly' OR a.verdict = 'ambiguous')) + b.split > 1]]

M.STATEMENTS = {
  version = "PRAGMA user_version",
  texts = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'",
  job_put = [[INSERT INTO job (one, id, created, state, record) VALUES (1, ?, ?, ?, ?)
    ON CONFLICT (one) DO UPDATE SET state = excluded.state, record = excluded.record WHERE id = excluded.id]],
  job_get = "SELECT id, created, state, record FROM job",
  file_put = [[INSERT INTO file (number, path, bytes, mtime, encoding, delimiter) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (number) DO NOTHING]],
  file_get = "SELECT number, path, bytes, mtime, encoding, delimiter FROM file ORDER BY number",
  enqueue = [[INSERT INTO batch (seq, parent, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash, owner, began)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING]],
  split = "UPDATE batch SET split = 1 WHERE seq = ? AND split = 0 AND state IN ('P','X')",
  -- A piece is inserted only if its batch may be split; the batch is split once all its pieces exist.
  piece = [[INSERT INTO batch (seq, parent, owner, began, offset, bytes, first_row, first_line, rows, accepted, body_bytes, skip, hash)
    SELECT (SELECT max(seq) + 1 FROM batch), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 FROM batch
    WHERE seq = ?1 AND split = 0 AND (state = 'P' OR state = 'X') RETURNING seq]],
  claim_pieces = "SELECT " .. PENDING .. " AND parent IS NOT NULL ORDER BY first_row",
  take = "SELECT " .. PENDING .. " AND seq = ?",
  seen_before = "UPDATE batch SET before = ?2 WHERE seq = ?1 AND state = 'P'",
  credit = "UPDATE batch SET receipt = coalesce(?2, receipt), awaits = ?3 WHERE seq = ?1 AND state = 'U'",
  late_of = [[INSERT INTO late (batch, attempt, at, source, verdict, detail)
    SELECT seq, (SELECT max(id) FROM attempt WHERE id BETWEEN ?1 * 1048576 AND ?1 * 1048576 + 1048575), ?2, 'callback', ?3, ?4 FROM batch
    WHERE seq = ?1 AND (state = 'A' OR state = iif(?5, 'U', 'C'))]],
  confirm = [[UPDATE batch SET state = 'C', awaits = 0, rejected = ?2, receipt = coalesce(?3, receipt)
    WHERE seq = ?1 AND (state = 'A' OR state = 'U')]],
  contradict = "UPDATE batch SET state = 'U', awaits = 0 WHERE seq = ?1 AND (state = 'A' OR state = 'C')",
  note = [[INSERT INTO late (batch, attempt, at, source, verdict, detail)
    VALUES (?1, (SELECT max(id) FROM attempt WHERE id BETWEEN ?1 * 1048576 AND ?1 * 1048576 + 1048575), ?2, ?3, ?4, ?5)]],
  doubt = "SELECT seq, state, accepted, before, parent FROM batch WHERE seq = ?",
  -- The batch that a refusal began with, and the pieces that were made of it since: sent ones and those still to send.
  narrowing = [[WITH RECURSIVE
    up (seq, parent) AS (SELECT seq, parent FROM batch WHERE seq = ?1
      UNION ALL SELECT b.seq, b.parent FROM up JOIN batch b ON b.seq = up.parent WHERE b.attempts > 0 OR b.parent IS NOT NULL),
    below (seq) AS (SELECT seq FROM batch WHERE parent = (SELECT min(seq) FROM up)
      UNION ALL SELECT b.seq FROM below JOIN batch b ON b.parent = below.seq)
    SELECT top.seq, top.accepted, (SELECT count(*) FROM below JOIN batch b ON b.seq = below.seq WHERE b.attempts > 0 OR b.split = 0)
    FROM batch top WHERE top.seq = (SELECT min(seq) FROM up)]],
  record = [[INSERT INTO row_result (row, batch, state, cause, col, reason, code, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (row) DO NOTHING]],
  record_refused = [[INSERT INTO row_result (row, state, cause, col, reason, code)
    SELECT value ->> 0, 'rejected', value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE true
    ON CONFLICT (row) DO NOTHING]],
  forget_batches = "DELETE FROM batch",
  forget_rows = "DELETE FROM row_result",
  claim = "SELECT " .. PENDING .. " AND seq > ? ORDER BY seq LIMIT ?",
  -- For one lease; for several consecutive ones.
  begin = "UPDATE batch SET state = 'S', fence = ?2, owner = ?3, attempts = attempts + 1, began = ?4 WHERE seq = ?1 AND split = 0 AND state = 'P'",
  begin_all = [[UPDATE batch SET state = 'S', fence = ?2, owner = ?3, attempts = attempts + 1, began = ?4
    WHERE seq BETWEEN ?1 AND ?5 AND split = 0 AND state = 'P']],
  -- The attempt is recorded only if the batch waits for its outcome.
  finish = "UPDATE batch SET state = ?10, rejected = ?11, awaits = ?12, receipt = NULL WHERE" .. MINE .. [[AND state = 'S';
    INSERT INTO attempt (id, batch, fence, owner, number, began, receipt, bytes_sent, body_bytes, seconds, ended, verdict, cause, status, code,
      kind, sent, guard, detail, reason, message)
    VALUES (?1 * 1048576 + ?4, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)]],
  -- For an outcome that no batch of this lease waits for any longer.
  late_answer = [[INSERT INTO late (batch, attempt, at, source, verdict, detail) SELECT ?1, ?2, ?3, 'answer', ?4, ?5
    WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE id = ?2 AND verdict = ?4)]],
  late_batch = [[UPDATE batch SET state = ?4, rejected = ?5, awaits = ?6, receipt = ?7
    WHERE]] .. MINE .. [[AND state = 'U' AND ?4 IN ('A','R','X')]],
  resolve = [[UPDATE batch SET state = ?1, doubts = doubts + ?2, rejected = iif(?1 = 'P', 0, rejected)
    WHERE seq = ?3 AND state = ?4 RETURNING seq]],
  -- Deletes the results of single rows from an earlier attempt, before those of another attempt or a newer result replace them.
  forget_refused = "DELETE FROM row_result WHERE batch = ?1 AND EXISTS (SELECT 1 FROM batch WHERE seq = ?1 AND state = ?2)",
  resolve_late = [[INSERT INTO late (batch, attempt, at, source, verdict, detail)
    SELECT seq, (SELECT max(id) FROM attempt WHERE id BETWEEN seq * 1048576 AND seq * 1048576 + 1048575), ?, ?, ?, ?
    FROM batch WHERE seq = ? AND state = ?]],
  left_open = "SELECT coalesce(sum(state = 'S'), 0) FROM batch",
  recover_attempts = [[INSERT INTO attempt (id, batch, number, fence, owner, began, ended, verdict, cause, kind, sent, detail)
    SELECT seq * 1048576 + attempts, seq, attempts, fence, owner, began, ?, 'ambiguous', 'interrupted', 'ledger', 'maybe',
      'the process ended between sending and the outcome' FROM batch WHERE state = 'S']],
  recover_sent = "UPDATE batch SET state = 'U' WHERE state = 'S'",
  progress = [[SELECT state, count(*), coalesce(sum(accepted), 0), coalesce(sum(rejected), 0), coalesce(sum(awaits * (accepted - rejected)), 0)
    FROM batch WHERE seq > ?1 AND seq <= ?2 AND split = 0 GROUP BY state]],
  progress_rows = "SELECT state, count(*) FROM row_result WHERE row > ?1 AND row <= ?2 AND batch IS NULL GROUP BY state",
  progress_attempts = [[SELECT coalesce(sum(attempts), 0), coalesce(sum(state = 'S'), 0),
    (SELECT coalesce(sum(body_bytes), 0) FROM attempt), (SELECT coalesce(sum(b.accepted), 0) FROM batch b WHERE ]] .. REPEATED .. ") FROM batch",
  scan_repeated = "SELECT " .. BATCH .. ", split FROM batch b WHERE seq > ? AND " .. REPEATED .. " ORDER BY seq LIMIT ?",
  attempts_of = [[SELECT id, batch, number, fence, began, ended, verdict, cause, receipt, status, code, kind,
    sent, guard, bytes_sent, body_bytes, seconds, detail, reason, message FROM attempt
    WHERE id BETWEEN ?1 * 1048576 AND ?1 * 1048576 + 1048575 ORDER BY id]],
  scan_batches = "SELECT " .. BATCH .. " FROM batch b WHERE split = 0 AND seq > ? ORDER BY seq LIMIT ?",
  -- Batches that the report must mention: settled ones that were not simply accepted.
  scan_told = "SELECT " .. BATCH .. [[ FROM batch b
    WHERE split = 0 AND seq > ? AND (state IN ('R','X','U','S') OR rejected > 0) ORDER BY seq LIMIT ?]],
  taken = [[SELECT awaits, sum(accepted) FROM batch WHERE seq > ?1 AND seq <= ?2 AND split = 0 AND state IN ('A','C') AND rejected = 0
    GROUP BY awaits]],
  scan_attempts = [[SELECT a.id, a.batch, a.number, a.fence, a.began, a.ended, a.verdict, a.cause, a.receipt, a.status, a.code, a.kind,
    a.sent, a.guard, a.bytes_sent, a.body_bytes, a.seconds, a.detail, a.reason, a.message, b.first_row, b.accepted
    FROM attempt a JOIN batch b ON b.seq = a.batch WHERE a.id > ? ORDER BY a.id LIMIT ?]],
  scan_open = [[SELECT seq * 1048576 + attempts, seq, attempts, fence, began, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, first_row, accepted FROM batch WHERE state = 'S' AND seq > ? / 1048576 ORDER BY seq LIMIT ?]],
  -- Finished attempts, for lines of JSON; NULL values are omitted.
  scan_lines = [[SELECT a.id, a.batch AS batch, a.number AS attempt, b.first_row AS first_row, b.accepted AS rows, a.verdict AS verdict,
    a.cause AS cause, a.receipt AS receipt, a.status AS status, a.code AS code, a.kind AS kind, a.sent AS sent,
    iif(a.guard, CAST('true' AS BLOB), NULL) AS guard, a.bytes_sent AS bytes_sent, a.body_bytes AS body_bytes, a.seconds AS seconds,
    a.detail AS detail FROM attempt a JOIN batch b ON b.seq = a.batch WHERE a.id > ? ORDER BY a.id LIMIT ?]],
  scan_rows = [[SELECT row, batch, state, cause, col, reason, code, message FROM row_result WHERE row > ? ORDER BY row LIMIT ?]],
  scan_late = "SELECT id, batch, attempt, at, source, verdict, detail FROM late WHERE id > ? ORDER BY id LIMIT ?",
  rows_of = [[SELECT row, batch, state, cause, col, reason, code, message FROM row_result WHERE batch = ? ORDER BY row]],
  last_of = [[SELECT id, batch, number, fence, began, ended, verdict, cause, receipt, status, code, kind,
    sent, guard, bytes_sent, body_bytes, seconds, detail, reason, message FROM attempt
    WHERE id BETWEEN ?1 * 1048576 AND ?1 * 1048576 + 1048575 ORDER BY id DESC LIMIT 1]],
  -- For the report. An attempt interrupted by the end of its process has the time when the next process found it as its end, which says nothing about
-- the pace.
  runs = [[SELECT a.owner, min(a.began), max(a.ended), count(*), sum(a.number > 1), coalesce(sum(a.status = 429), 0), sum(a.verdict = 'ambiguous'),
    coalesce(sum(iif(a.verdict IN ('accepted','partly'), b.accepted - b.rejected, 0)), 0), coalesce(sum(a.bytes_sent), 0)
    FROM attempt a JOIN batch b ON b.seq = a.batch WHERE ]] .. ATTEMPTS_OF_RANGE .. [[AND a.cause IS NOT 'interrupted' AND a.cause IS NOT 'held_back'
    GROUP BY 1]],
  -- Number of calls by interval and rounded duration (in steps of a tenth to a quarter), from which percentiles are computed.
  course = [[SELECT CAST((a.ended - ?4) / ?5 AS INTEGER), CASE WHEN a.seconds < 0.02 THEN CAST(a.seconds * 1000 AS INTEGER)
      WHEN a.seconds < 0.1 THEN CAST(a.seconds * 200 AS INTEGER) * 5 WHEN a.seconds < 0.2 THEN CAST(a.seconds * 100 AS INTEGER) * 10
      WHEN a.seconds < 1 THEN CAST(a.seconds * 20 AS INTEGER) * 50 WHEN a.seconds < 2 THEN CAST(a.seconds * 10 AS INTEGER) * 100
      WHEN a.seconds < 10 THEN CAST(a.seconds * 2 AS INTEGER) * 500 ELSE CAST(min(a.seconds, 600) / 5 AS INTEGER) * 5000 END,
    count(*), sum(a.number > 1), coalesce(sum(a.status = 429), 0), sum(a.verdict = 'ambiguous'),
    coalesce(sum(iif(a.verdict IN ('accepted','partly'), b.accepted - b.rejected, 0)), 0)
    FROM attempt a JOIN batch b ON b.seq = a.batch
    WHERE ]] .. ATTEMPTS_OF_RANGE .. [[AND a.owner = ?3 AND a.cause IS NOT 'interrupted' AND a.cause IS NOT 'held_back' GROUP BY 1, 2]],
  refused = [[SELECT state, cause, col, reason, code, count(*) FROM row_result WHERE row > ?1 AND row <= ?2 AND state = 'rejected'
    GROUP BY state, cause, col, reason, code]],
  doubtful = [[SELECT b.seq, b.first_row, b.accepted, a.number, a.began, a.verdict, a.cause, a.status, a.code, a.detail
    FROM batch b LEFT JOIN attempt a ON a.id = b.seq * 1048576 + b.attempts WHERE b.split = 0 AND b.state = 'U' ORDER BY b.seq LIMIT 100]],
  reasons = [[SELECT state, cause, col, reason, code, count(*) FROM row_result WHERE row > ?1 AND row <= ?2 AND batch IS NULL
    GROUP BY state, cause, col, reason, code]],
  highest_batch = "SELECT coalesce(max(seq), 0) FROM batch",
  highest_row = "SELECT coalesce(max(row), 0) FROM row_result",
}

---Statements that count by groups, for the batches or rows above ?1 up to ?2 (ledger/grouped.lua). `keys`: so many columns tell groups apart; the
---others are added up, but for the smallest and greatest of `least` and `most`. Order: by_count, then the columns from `first` (1) on.
M.GROUPED = {
  progress = { of = "batch", keys = 1 },
  progress_rows = { of = "row", keys = 1 },
  taken = { of = "batch", keys = 1 },
  runs = { of = "batch", keys = 1, least = 2, most = 3, first = 2 },
  course = { of = "batch", keys = 2 },
  refused = { of = "row", keys = 5, by_count = true, limit = 200 },
  reasons = { of = "row", keys = 5, by_count = true },
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

-- A lease is preallocated for the fields that are added while its batch is sent, since a growing table is reallocated.
local LEASE = { "index", "fence", "attempts", "doubts", "parent", "offset", "bytes", "first_row", "first_line", "rows", "accepted",
  "body_bytes", "skip", "hash", room = 8 }

local BATCH_NAMES = { "index", "state", "fence", "attempts", "doubts", "parent", "offset", "bytes", "first_row", "first_line", "rows", "accepted",
  "body_bytes", "skip", "hash", "rejected", "awaits", "receipt" }

local ROW = { "row", "batch", "state", "cause", "column", "reason", "code", "message" }

---Column names of a statement's result, in order; a scan continues after the first. Statements without names return lists, or lines.
M.NAMES = {
  scan_lines = "lines",
  progress = { "state", "batches", "accepted", "rejected", "awaited" },
  progress_rows = { "state", "rows" },
  job_get = { "id", "created", "state", "record" },
  file_get = { "number", "path", "bytes", "mtime", "encoding", "delimiter" },
  claim = LEASE,
  claim_pieces = LEASE,
  take = LEASE,
  scan_batches = BATCH_NAMES,
  scan_told = BATCH_NAMES,
  taken = { "awaits", "rows" },
  scan_attempts = with(ATTEMPT, "first_row", "rows"),
  scan_open = with(ATTEMPT, "first_row", "rows"),
  scan_rows = ROW,
  scan_late = { "id", "batch", "attempt", "at", "source", "verdict", "detail" },
  scan_repeated = with(BATCH_NAMES, "split"),
  attempts_of = ATTEMPT,
  last_of = ATTEMPT,
  rows_of = ROW,
  doubt = { "index", "state", "accepted", "before", "parent" },
  narrowing = { "root", "rows", "calls" },
  reasons = { "state", "cause", "column", "reason", "code", "count" },
  runs = { "owner", "began", "ended", "calls", "repeats", "throttled", "unclear", "rows", "bytes" },
  course = { "slot", "ms", "calls", "repeats", "throttled", "unclear", "rows" },
  refused = { "state", "cause", "column", "reason", "code", "count" },
  doubtful = { "batch", "first_row", "rows", "attempt", "began", "verdict", "cause", "status", "code", "detail" },
}

return M
