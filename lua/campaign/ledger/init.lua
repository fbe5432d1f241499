-- SPDX-License-Identifier: MIT
-- The ledger of a job: what was planned, what was about to be sent, what came of it. This file names the states, the interface that every
-- back end has (docs/ledger.md, proved by spec/ledger/contract.lua), and chooses the back end. Statements and files are theirs.

local M = {}

---States of a batch. A lease is known to its owner alone: in the file a leased batch is pending.
M.STATES = {
  P = "pending", L = "leased", S = "sent", A = "accepted", R = "partly", X = "rejected", F = "failed", U = "ambiguous",
  C = "confirmed",
}

---The state that a verdict leads to. What was provably not applied is pending, and stays leased in memory: it may be begun again.
M.AFTER = { not_applied = "P", accepted = "A", partly = "R", rejected = "X", ambiguous = "U" }

---What `resolve` may say of a batch, with the state it must be in and the one it comes to.
M.RESOLUTIONS = {
  applied = { from = "U", to = "A" },
  ["not-applied"] = { from = "U", to = "P" },
  resend = { from = "U", to = "P", doubt = true },
  ["repeat"] = { from = "U", to = "P", doubt = true }, -- by the platform's data it does no harm to send it twice
  failed = { from = "P", to = "F" },
  confirmed = { from = "A", to = "C" },
}

---The functions of a back end.
M.INTERFACE = {
  "job_put", "job_get", "enqueue", "record", "record_refused", "claim", "claim_ahead", "begin", "begin_all", "finish", "finish_all", "release",
  "resolve", "progress", "scan", "lines", "commit", "start", "settled", "wait", "ring", "close",
  "split", "pieces", "take", "seen_before", "credit", "confirm", "contradict", "note", "ask", "forget_plan", "reserve", "full",
}

---@class campaign.ledger.options
---@field create boolean? make a new one; it must not exist
---@field owner string? who works on the job, unique for each start of a process
---@field now (fun(): number)?
---@field checked string? what closing it gave just now: a file that was not touched since is not checked for damage again
---@field background boolean? commits are made on a thread of their own: `start` does not wait for the disk, and `commit` inside nginx yields

---Opens the ledger of a job. One that exists is checked first; what a dead owner left open is settled: leased batches are pending again,
---sent ones without an outcome are ambiguous.
---@param dsn string a path, as yet the only kind
---@param options campaign.ledger.options?
---@return table? ledger
---@return campaign.error? err
function M.open(dsn, options)
  options = options or {}
  local home = package.loaded.ngx and require("campaign.openresty.env") -- nobody may block there
  return require("campaign.ledger.sqlite").open(dsn, {
    create = options.create, owner = options.owner, now = options.now, checked = options.checked,
    driver = (options.background or home) and "thread" or "inline",
    sleep = home and home.sleep or nil, wait = home and require("campaign.openresty.bell").wait or nil, pause = home and home.pause or nil,
  })
end

return M
