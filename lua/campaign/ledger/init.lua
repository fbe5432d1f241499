-- SPDX-License-Identifier: MIT
-- The ledger of a job: what was planned, what was about to be sent, and the outcome. This file defines the states and the interface of a
-- back end (docs/ledger.md, tested by spec/ledger/contract.lua), and selects the back end, which has the statements and files.

local M = {}

---States of a batch. A lease is known only to its owner: in the file a leased batch is pending.
M.STATES = {
  P = "pending", L = "leased", S = "sent", A = "accepted", R = "partly", X = "rejected", F = "failed", U = "ambiguous",
  C = "confirmed",
}

---The state that a verdict leads to. What was provably not applied becomes pending, and stays leased in memory: it may be started again.
M.AFTER = { not_applied = "P", accepted = "A", partly = "R", rejected = "X", ambiguous = "U" }

---What `resolve` may decide about a batch, with the state it must be in and the resulting state.
M.RESOLUTIONS = {
  applied = { from = "U", to = "A" },
  ["not-applied"] = { from = "U", to = "P" },
  resend = { from = "U", to = "P", doubt = true },
  ["repeat"] = { from = "U", to = "P", doubt = true }, -- according to the platform's data it may be sent twice without harm
  failed = { from = "P", to = "F" },
  confirmed = { from = "A", to = "C" },
}

---The functions of a back end.
M.INTERFACE = {
  "job_put", "job_get", "enqueue", "record", "record_refused", "claim", "claim_ahead", "begin", "begin_all", "finish", "finish_all", "release",
  "resolve", "progress", "scan", "lines", "commit", "start", "settled", "busy", "wait", "ring", "close",
  "split", "pieces", "take", "seen_before", "credit", "confirm", "contradict", "note", "ask", "forget_plan", "reserve", "full",
}

---@class campaign.ledger.options
---@field create boolean? create a new one; it must not exist
---@field owner string? who works on the job, unique for each process start
---@field now (fun(): number)?
---@field checked string? what closing it just returned: an unmodified file is not checked for damage again
---@field background boolean? commits are made on another thread: `start` does not wait for the disk, and `commit` inside nginx yields

---Opens the ledger of a job. An existing one is checked first, and what a dead owner left open is settled: leased batches become pending,
---sent ones without an outcome ambiguous.
---@param dsn string a path, the only kind so far
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
