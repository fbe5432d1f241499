-- SPDX-License-Identifier: MIT
-- Every operation with canaries for all secrets and personal values, against platforms that echo all they were sent, in every way an
-- answer can be bad: no canary may be found in any part of the error.

local error_object = require "campaign.error"
local fake = require "support.fake"
local json = require "campaign.json"
local platforms = require "campaign.api.platform"

local NAMES = { "outbound", "tuzhan", "hypers", "longlong" }

local ACCOUNTS = {
  outbound = { base_url = "https://x.example", token = "canary-token", abbreviate = "acme" },
  tuzhan = { base_url = "https://x.example", token = "canary-token" },
  hypers = { base_url = "https://x.example", token = "canary-token", client_id = "id-canary", client_secret = "canary-client-secret",
    username = "canary-user", password = "canary-password" },
  longlong = { base_url = "https://x.example", token = "canary-token", user_id = "u-1" },
}

local count

-- The fields of a case with a canary for every text that must not be shown.
local function planted(description, value, hidden)
  hidden = hidden or description.redact
  if type(value) == "string" then
    if hidden and description.type == "string" and not description.values then
      count = count + 1
      return "canary-" .. count
    end
    return value
  elseif type(value) ~= "table" or description.type == "file" then
    return value
  end
  local new = setmetatable({}, getmetatable(value))
  for key, inner in pairs(value) do
    local field = description.type == "array" and description.items or description.fields and description.fields[key]
    new[key] = field and planted(field, inner, hidden) or inner
  end
  return new
end

-- Everything that can be read in an error, however deep.
local function everything(value, seen)
  seen = seen or {}
  if type(value) ~= "table" then
    return tostring(value)
  elseif seen[value] then
    return ""
  end
  seen[value] = true
  local parts = { error_object.is(value) and tostring(value) or "" }
  for key, inner in pairs(value) do
    parts[#parts + 1] = everything(key, seen) .. "=" .. everything(inner, seen)
  end
  return table.concat(parts, "\n")
end

-- Bad answers that echo a text.
local function answers_to(echo)
  local quoted = assert(json.encode(echo))
  local list = {
    { error = error_object.new{ kind = "network", message = "could not send " .. echo }, sent = "maybe" },
    { error = error_object.new{ kind = "timeout", message = echo, hint = "try again" }, sent = "no" },
    fake.answer(echo, 302, { { "Location", "https://canary-token.example/" .. echo:gsub("%c", "") } }),
    fake.answer(echo, 200), fake.answer(quoted, 200), fake.answer("{" .. quoted, 200), fake.answer("[" .. quoted .. "]", 200),
  }
  for _, status in ipairs{ 200, 400, 401, 403, 404, 413, 422, 429, 500, 503 } do
    for _, key in ipairs{ "message", "msg", "error_description", "error", "code", "errorCode", "data", "phone" } do
      list[#list + 1] = fake.answer(('{"%s":%s,"%s_":999}'):format(key, quoted, key), status)
    end
    list[#list + 1] = fake.answer(('{"code":999,"message":%s,"errors":[{"field":%s}]}'):format(quoted, quoted), status)
    list[#list + 1] = fake.answer(echo, status)
  end
  return list
end

local function headers_of(request)
  local lines = {}
  for _, header in ipairs(request.headers) do
    lines[#lines + 1] = header[1] .. ": " .. header[2]
  end
  return table.concat(lines, "\n")
end

for _, name in ipairs(NAMES) do
  describe("R008 client with canaries: " .. name, function()
    local cases = require("cases." .. name)
    local platform = platforms.load(name)

    for _, case in ipairs(cases) do
      it("R008 client shows none of them in any error of " .. case.operation, function()
        local operation = platform.operations[case.operation]
        count = 0
        local fields = planted({ type = "object", fields = operation.fields }, case.fields or {}, false)
        local texts = {}
        for _, value in pairs(ACCOUNTS[name]) do
          texts[#texts + 1] = value:find("canary", 1, true) and value or nil
        end
        for number = 1, count do
          texts[#texts + 1] = "canary-" .. number
        end
        local options = { retries = 0, window = "ignore", accept_public_file = true, server_variables = case.server_variables }
        local request
        local client = fake.client(name, { function(sent)
          request = sent
          return fake.answer("", 500)
        end }, { account = ACCOUNTS[name] })
        local first, problem = client:call(case.operation, fields, options)
        assert(request, tostring(problem))
        assert.is_nil(first and operation.response == "json" or nil)
        local echo = table.concat({ request.url, headers_of(request), type(request.body) == "string" and request.body or "",
          table.concat(texts, " ") }, "\n")
        for number, answer in ipairs(answers_to(echo)) do
          client = fake.client(name, { answer }, { account = ACCOUNTS[name] })
          local reply, err = client:call(case.operation, fields, options)
          if not reply then
            local text = everything(err)
            assert(not text:find("canary", 1, true), number .. ": " .. (text:match("[^\n]*canary[^\n]*") or ""))
          end
        end
      end)
    end
  end)
end
