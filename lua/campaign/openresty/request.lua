-- SPDX-License-Identifier: MIT
-- What the handlers take from an nginx request, and how they answer.

local json = require "campaign.json"

local M = {}

local ngx = package.loaded.ngx

local MOST_HEADERS = 100

---A dictionary of ngx.shared by its name. Raises when nginx.conf does not declare it.
---@param name string?
---@return table?
function M.shared(name)
  if name == nil then
    return nil
  end
  local found = ngx.shared[name]
  if not found then
    error(("nginx.conf declares no dictionary of that name: add `lua_shared_dict %s 1m;` to its http block"):format(tostring(name)), 3)
  end
  return found
end

---Headers by name in lower case; of one that came twice the first counts.
---@return table<string, string>
function M.headers()
  local headers = ngx.req.get_headers(MOST_HEADERS)
  for name, value in pairs(headers) do
    if type(value) == "table" then
      headers[name] = value[1]
    end
  end
  return headers
end

---The body: at most limit + 1 bytes of it. Where nginx put it into a file, it is read from there.
---@param limit integer
---@return string?
function M.body(limit)
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if body then
    return #body > limit and body:sub(1, limit + 1) or body
  end
  local path = ngx.req.get_body_file()
  if not path then
    return ""
  end
  local file = io.open(path, "rb")
  body = file and file:read(limit + 1)
  if file then
    file:close()
  end
  return body
end

---Writes into nginx's error log; errors hold no secrets and no personal data.
---@param what string
---@param err any
function M.log(what, err)
  ngx.log(ngx.ERR, "campaign: ", what, ": ", tostring(err))
end

---@return string
function M.method()
  return ngx.req.get_method()
end

---Path and query as they were sent.
---@return string
function M.target()
  return ngx.var.request_uri
end

---Answers. Connections are nginx's own affair: what was not read of the request is read and thrown away, so that it is never taken for the
---next one.
---@param status integer
---@param headers string[][]
---@param body string
---@param is_unread boolean? the request's body was not read
function M.answer(status, headers, body, is_unread)
  if is_unread then
    ngx.req.discard_body()
  end
  ngx.status = status
  for _, header in ipairs(headers) do
    if header[1] ~= "Connection" then
      ngx.header[header[1]] = header[2]
    end
  end
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

---Answers with JSON.
---@param status integer
---@param value table
function M.json(status, value)
  local text = json.encode(value) or "{}"
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["Content-Length"] = #text + 1
  ngx.print(text, "\n")
end

---Answers 405 for all methods but those named; true when it did.
---@param ... string
---@return boolean
function M.refuse_method(...)
  local method = ngx.req.get_method()
  for i = 1, select("#", ...) do
    if method == select(i, ...) then
      return false
    end
  end
  ngx.header["Allow"] = table.concat({ ... }, ", ")
  ngx.req.discard_body()
  M.json(405, { error = table.concat({ ... }, " or ") .. " only" })
  return true
end

return M
