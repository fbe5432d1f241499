-- SPDX-License-Identifier: MIT
-- What the specs of HYPERS' marketing notices share: a login when it is needed, and requests below their path.

local core = require "campaign.core"
local h = require "sandbox.helper"
local json = h.json

local M = {}

local PATH = "/api/v1/marketing-notice"

---A fresh token for each request: a reset has ended the last one.
function M.authorization()
  h.control("settings", { ["hypers.expires_in"] = 864000 })
  local account = h.accounts.hypers
  local client = core.digest.base64_encode(account.client_id .. ":" .. account.client_secret)
  local answer = h.post("/oauth/token", { Authorization = "Basic " .. client }, {
    grant_type = "password", username = account.username, password = account.password,
  })
  return { Authorization = "Bearer " .. answer.json.access_token }
end

function M.send(method, path, body)
  if body then
    return h.post(PATH .. path, M.authorization(), body, method)
  end
  return h.send(method, PATH .. path, M.authorization())
end

for _, method in ipairs{ "GET", "POST", "PUT", "PATCH", "DELETE" } do
  M[method:lower()] = function(path, body)
    return M.send(method, path, body)
  end
end

function M.reports(member, query)
  return h.get("/api/v1/members/" .. member .. "/daily-reports" .. (query or ""), M.authorization())
end

---The decimal text of an id in a reply.
function M.id(value)
  return json.encode(value)
end

function M.with(base, changes)
  local copy = {}
  for name, value in pairs(base) do
    copy[name] = value
  end
  for name, value in pairs(changes or {}) do
    copy[name] = value or nil
  end
  return copy
end

function M.accepted(answer)
  if answer.status ~= 200 then
    error("expected 200, got " .. tostring(answer.status) .. " " .. tostring(answer.body), 2)
  end
  return answer.json
end

function M.refused(answer, field)
  local given = answer.status == 400 and answer.json.errors[1].field
  if given ~= field then
    error("expected a 400 for " .. field .. ", got " .. tostring(answer.body), 2)
  end
end

---The id of an uploaded member file with that many rows.
function M.members_file(count)
  local rows = { { "userId", "nickname" } }
  for i = 1, count do
    rows[i + 1] = { "u" .. i, "nick" .. i }
  end
  local answer = h.form("/api/v1/file", M.authorization(), {
    { "file", require("campaign.sandbox.sheet").write(rows), "members.xlsx" }, { "moduleName", "notification" },
  })
  return M.accepted(answer).id
end

return M
