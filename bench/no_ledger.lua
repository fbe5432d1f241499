-- SPDX-License-Identifier: MIT
-- J2 without the durable ledger, to see what it costs: batches are handed out from memory, nothing is written down before a request leaves
-- nor after it. For the bench alone; campaign has no such mode.
--
--   lua5.4 bench/no_ledger.lua URL CSV JOB_FOLDER

local function yes()
  return true
end

-- Whatever else a ledger is asked goes well.
local methods = setmetatable({}, { __index = function() return yes end })
local mt = { __index = methods }

function methods:enqueue(batches)
  for _, batch in ipairs(batches) do
    batch.fence, batch.attempts = 1, 0
    self.batches[#self.batches + 1] = batch
  end
  return true
end

function methods:claim(count)
  local leases = {}
  while #leases < count and self.batches[self.at] do
    leases[#leases + 1] = self.batches[self.at]
    self.at = self.at + 1
  end
  return leases
end

function methods.begin(_, lease, ticket)
  ticket.answer, ticket.number = "go", lease.attempts + 1
  return ticket
end

function methods:begin_all(tickets, first, last)
  for i = first, last do
    self:begin(tickets[i].lease, tickets[i])
  end
  return last
end

function methods.full() -- luacheck: no unused args
end

function methods.pieces()
  return {}
end

function methods:scan(what)
  local at = 0
  return function()
    at = at + 1
    return what == "batches" and self.batches[at] or nil
  end
end

function methods.lines()
  return function() end
end

package.loaded["campaign.ledger"] = {
  STATES = {}, AFTER = {}, RESOLUTIONS = {},
  open = function() return setmetatable({ batches = {}, at = 1 }, mt) end,
}

dofile("bench/campaign_j2.lua")
