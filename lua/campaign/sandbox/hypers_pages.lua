-- SPDX-License-Identifier: MIT
-- The marketing lists of HYPERS: the five query fields of paging and order, and the Spring style of page. Rows come
-- in as the objects that are to be shown, so that any of their fields can order them.

local json = require "campaign.sandbox.json"
local state_of = require "campaign.sandbox.state"

local M = {}

local DEFAULT_SIZE = 20

local function first(request, name)
  return request.query[name] and request.query[name][1]
end

M.first = first

---True for the decimal text of a number from `least` on that is an `integer`, which the document sets apart from `integer(int64)`.
function M.is_number(text, least)
  return text:find("^%d+$") ~= nil and tonumber(text) >= least and tonumber(text) < 2 ^ 31
end

local function bad_number(app, text, least)
  return text ~= nil and app:on("R261") and not M.is_number(text, least)
end

-- The fields of orderBy: a repeated key, commas inside it split (R262).
local function order_fields(self, request, sortable)
  local fields = {}
  for _, text in ipairs(request.query.orderBy or {}) do
    for name in text:gmatch(self.app:on("R262") and "[^,]+" or ".+") do
      if not sortable[name] then
        if self.app:on("R262") then
          return nil, self:bad("orderBy", "invalid", "unknown field " .. name:gsub("[^%w_]", "?"))
        end
      else
        fields[#fields + 1] = name
      end
    end
  end
  return fields
end

---What a request asks of a list: { current, size, paged, fields, direction, nulls }, or nil and the refusal.
---@param sortable table<string, boolean> fields that may order it
function M.query(self, request, sortable)
  local app = self.app
  local current, size = first(request, "current"), first(request, "size")
  if bad_number(app, current, 0) then
    return nil, self:bad("current", "invalid", "expected 0 to 2147483647")
  elseif bad_number(app, size, 1) then
    return nil, self:bad("size", "invalid", "expected 1 to 2147483647")
  end
  local direction = first(request, "orderDirection") or "ASC"
  local nulls = first(request, "orderNullHandling") or "NATIVE"
  if app:on("R263") then
    if direction ~= "ASC" and direction ~= "DESC" then
      return nil, self:bad("orderDirection", "invalid", "expected ASC or DESC")
    elseif nulls ~= "NATIVE" and nulls ~= "NULLS_FIRST" and nulls ~= "NULLS_LAST" then
      return nil, self:bad("orderNullHandling", "invalid", "expected NATIVE, NULLS_FIRST or NULLS_LAST")
    end
  end
  local fields, refused = order_fields(self, request, sortable)
  if not fields then
    return nil, refused
  end
  local page = tonumber(current)
  if page and not app:on("R260") then
    page = page - 1
  end
  return {
    current = math.max(page or 0, 0), paged = current ~= nil or not app:on("R257"),
    size = math.max(tonumber(size) or (app:on("R259") and DEFAULT_SIZE or 10), 1),
    fields = fields, direction = direction, nulls = nulls,
  }
end

local function compare(left, right)
  if type(left) == "table" then
    return state_of.id_before(left.text, right.text)
  end
  return left < right
end

local function same(left, right)
  return left == right or (type(left) == "table" and type(right) == "table" and left.text == right.text)
end

local function nulls_first(self, asked)
  if not self.app:on("R264") then
    return false
  elseif asked.nulls == "NATIVE" then
    return asked.direction == "ASC"
  end
  return asked.nulls == "NULLS_FIRST"
end

---Orders rows (ordered objects) as asked; without a field by id ascending (R265).
function M.sort(self, rows, asked)
  local front = nulls_first(self, asked)
  table.sort(rows, function(a, b)
    for _, name in ipairs(asked.fields) do
      local left, right = a.values[name], b.values[name]
      if left == json.null or right == json.null then
        if left ~= right then
          return (left == json.null) == front
        end
      elseif not same(left, right) then
        if asked.direction == "DESC" then
          return compare(right, left)
        end
        return compare(left, right)
      end
    end
    local one, two = a.values.id or a.values.memberId, b.values.id or b.values.memberId
    if not self.app:on("R265") then
      one, two = two, one
    end
    return compare(one, two)
  end)
end

local function sort_entries(asked)
  local list = json.array()
  for i, name in ipairs(asked.fields) do
    list[i] = json.ordered("direction", asked.direction, "property", name, "ignoreCase", false,
      "nullHandling", asked.nulls, "ascending", asked.direction == "ASC", "descending", asked.direction == "DESC")
  end
  return list
end

---The rows of one page.
function M.slice(rows, asked)
  local content = json.array()
  local from = asked.paged and asked.current * asked.size or 0
  local to = asked.paged and math.min(from + asked.size, #rows) or #rows
  for i = from + 1, to do
    content[#content + 1] = rows[i]
  end
  return content
end

---A Spring page with its twelve keys.
---@param rows table all rows, filtered; they are ordered here
function M.spring(self, rows, asked)
  local app, total = self.app, #rows
  M.sort(self, rows, asked)
  local content = M.slice(rows, asked)
  local size, number = asked.size, asked.current
  local pages = math.ceil(total / size)
  if not asked.paged then
    size, number = app:on("R269") and total or DEFAULT_SIZE, 0
    pages = 1
  end
  local is_first, is_last = number == 0, number >= pages - 1
  if asked.paged and total == 0 and not app:on("R270") then
    pages, is_last = 1, false
  end
  local sort = app:on("R271") and sort_entries(asked) or json.array()
  local consistent = app:on("R268")
  local pageable = json.ordered("paged", asked.paged, "unpaged", consistent and not asked.paged or false,
    "pageNumber", number, "pageSize", size, "offset", app:on("R267") and number * size or number, "sort", sort)
  return json.ordered("content", content, "pageable", app:on("R266") and pageable or nil, "total", total,
    "empty", #content == 0, "number", number, "size", size, "numberOfElements", #content, "sort", sort,
    "first", is_first, "last", is_last, "totalPages", pages, "totalElements", total)
end

---Does keyWord occur in the name, without regard to case (R275)?
function M.has_word(self, request, name)
  local word = first(request, "keyWord")
  if not word or word == "" or not self.app:on("R275") then
    return true
  end
  return name:lower():find(word:lower(), 1, true) ~= nil
end

---A filter of ids joined with commas or given as repeated keys: a set, or nil when it is not given.
function M.id_set(request, name)
  local values = request.query[name]
  if not values then
    return nil
  end
  local set = {}
  for _, text in ipairs(values) do
    for id in text:gmatch("[^,%s]+") do
      set[id] = true
    end
  end
  return set
end

return M
