-- SPDX-License-Identifier: MIT
-- The error shape of a platform whose operations are not served yet.
local json = require "campaign.sandbox.json"
local reply = require "campaign.sandbox.reply"
local M = {}
local mt = { __index = {
  serves = function() return false end,
  refuse = function(_, status, message) return reply.json(status, json.ordered("code", status, "msg", message)) end,
} }
function M.new(app) return setmetatable({ app = app }, mt) end
return M
