-- SPDX-License-Identifier: MIT
-- The transport of plain Lua, counting how its requests left.

local curl = require "campaign.transport.curl"

local M = {}

---A transport whose `counts` tell how many requests left by themselves (`plain`), how many with a template (`short`), and how many answers were
---looked at among those of templates (`looked`).
---@param has_lane boolean false: as anybody's transport would, it stands before the real one and offers no templates
---@param before fun(counts: table)? called for each request
function M.new(has_lane, before)
  local inner = curl.new()
  local transport = has_lane and inner or setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      return inner[name](inner, ...)
    end
  end })
  local counts = { plain = 0, short = 0, looked = 0 }
  local submit, submit_like, known = inner.submit, inner.submit_like, inner.known
  local function leave(kind, count)
    for _ = 1, count do
      counts[kind] = counts[kind] + 1
      if before then
        before(counts)
      end
    end
  end
  function transport.submit(_, request)
    leave("plain", 1)
    return submit(inner, request)
  end
  function inner.submit_like(_, template, sources, count, ...)
    leave("short", count)
    return submit_like(inner, template, sources, count, ...)
  end
  function inner.known(_, seconds, template, ...)
    local count, id, result = known(inner, seconds, template, ...)
    if id then
      counts.looked = counts.looked + 1
    end
    return count, id, result
  end
  transport.counts = counts
  return transport
end

return M
