-- SPDX-License-Identifier: MIT
-- Files that last, through campaign.core.system where it has them.
local core = require "campaign.core"
local M = {}
function M.append_open(path, mode)
  if core.system.append_open then return core.system.append_open(path, mode) end
  local f, e = io.open(path, "ab")
  if not f then return nil, e end
  return { write = function(_, b) local ok = f:write(b); f:flush(); return ok end, sync = function() return true end, close = function() f:close() end }
end
function M.write_atomic(path, bytes, mode)
  if core.system.write_atomic then return core.system.write_atomic(path, bytes, mode) end
  local f, e = io.open(path .. ".tmp", "wb")
  if not f then return nil, e end
  f:write(bytes) f:close()
  return os.rename(path .. ".tmp", path)
end
function M.make_dirs(path, mode)
  if core.system.make_dirs then return core.system.make_dirs(path, mode) end
  return os.execute("mkdir -p '" .. path .. "'")
end
return M
