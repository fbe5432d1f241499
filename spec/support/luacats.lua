-- SPDX-License-Identifier: MIT
-- A strict reader of the LuaCATS annotations that the project writes: every line is read whole, every type is parsed, every name must
-- be declared. Gives declared names with their members; raises with the line for what no editor would understand.

local M = {}

local BUILTIN = { string = true, integer = true, number = true, boolean = true, table = true, any = true, userdata = true, ["nil"] = true,
  ["function"] = true, self = true }

local Reader = {}
Reader.__index = Reader

function Reader:fail(what)
  error(("%s:%d: %s: %s"):format(self.path, self.number, what, self.line), 0)
end

function Reader:peek(text)
  return self.rest:sub(1, #text) == text
end

function Reader:take(text)
  if not self:peek(text) then
    return false
  end
  self.rest = self.rest:sub(#text + 1):gsub("^ +", "")
  return true
end

function Reader:match(pattern)
  local found = self.rest:match("^" .. pattern)
  if found then
    self.rest = self.rest:sub(#found + 1)
  end
  return found
end

function Reader:expect(text)
  self.rest = self.rest:gsub("^ +", "")
  if not self:take(text) then
    self:fail("`" .. text .. "` is missing before `" .. self.rest .. "`")
  end
end

function Reader:fun_type()
  self:expect("(")
  local is_empty = self:take(")")
  repeat
    if is_empty then
      break
    end
    local name = self:match("[%a_][%w_]*") or self:fail("a parameter needs a name")
    self:take("?")
    if self:take(":") then
      self:type()
    elseif name ~= "self" then
      self:fail("a parameter needs a type")
    end
  until not self:take(",")
  if not is_empty then
    self:expect(")")
  end
  if self:take(":") then
    repeat
      self:type()
    until not self:take(",")
  end
end

function Reader:atom()
  if self:take("(") then
    self:type()
    self:expect(")")
  elseif self:take("{") then
    repeat
      local _ = self:match("[%a_][%w_]*") or self:fail("a member needs a name")
      self:take("?")
      self:expect(":")
      self:type()
    until not self:take(",")
    self:expect("}")
  elseif self:match('"[^"]*"') or self:match("%-?%d+") then
    return
  else
    local name = self:match("[%a_][%w_.]*") or self:fail("no type at `" .. self.rest .. "`")
    if name == "fun" then
      return self:fun_type()
    elseif self:take("<") then
      repeat
        self:type()
      until not self:take(",")
      return self:expect(">")
    elseif not BUILTIN[name] and name ~= "true" and name ~= "false" then
      self.used[#self.used + 1] = { name = name, where = self.path .. ":" .. self.number }
    end
  end
end

function Reader:type()
  repeat
    self:atom()
    while self:match("%[%]") or self:match("%?") do
      self.has_suffix = true
    end
    local before = self.rest
    self.rest = self.rest:gsub("^ +", "")
    if not self:take("|") then
      self.rest = before
      return
    end
  until false
end

-- After a type: the end of the line, or a space and text.
function Reader:end_of_type()
  if self.rest ~= "" and self.rest:sub(1, 1) ~= " " then
    self:fail("unread after the type: `" .. self.rest .. "`")
  end
end

local TAGS = {}

function TAGS.meta(self)
  if self.number ~= 1 then
    self:fail("must be the first line")
  end
end

function TAGS.class(self)
  local name = self:match("[%a_][%w_.]*") or self:fail("a class needs a name")
  if self.declared[name] then
    self:fail("declared twice")
  end
  self.members = {}
  self.declared[name] = self.members
  if self:take(":") then
    self:type()
  end
  if self.rest ~= "" then
    self:fail("unread: `" .. self.rest .. "`")
  end
end

function TAGS.field(self)
  if not self.members then
    self:fail("a field without a class")
  end
  if self:take("[") then
    self:type()
    self:expect("]")
  else
    local name = self:match("[%a_][%w_]*") or self:fail("a field needs a name")
    if self.members[name] then
      self:fail("given twice")
    end
    self.members[name] = true
    if not self:take(" ") then
      self:fail("a field needs a type")
    end
  end
  self:type()
  self:end_of_type()
end

function TAGS.alias(self)
  local name = self:match("[%a_][%w_.]*") or self:fail("an alias needs a name")
  if self.declared[name] then
    self:fail("declared twice")
  end
  self.declared[name] = {}
  self.choices = self.declared[name]
  if self:take(" ") then
    self:type()
    self:end_of_type()
    self.choices = nil
  end
end

function TAGS.param(self)
  local name = self:match("[%a_][%w_]*") or self:fail("a parameter needs a name")
  self.params[#self.params + 1] = name
  self:take("?")
  self.rest = self.rest:gsub("^ +", "")
  self:type()
  self:end_of_type()
end

TAGS["return"] = function(self)
  self:type()
  self:end_of_type()
end

TAGS.overload = TAGS["return"]

local function signature(self)
  local parameters = self.line:match("^function [%w_]+[:.][%w_]+%(([%w_, ]*)%) end$") or self:fail("no signature")
  if #self.params > 0 and table.concat(self.params, ", ") ~= parameters then
    self:fail("parameters are annotated as " .. table.concat(self.params, ", "))
  end
  self.params = {}
end

local function line_of(self)
  local line = self.line
  local tag, rest = line:match("^%-%-%-@(%a+) ?(.*)$")
  if tag then
    self.rest = rest
    if tag ~= "field" then
      self.members = nil
    end
    self.choices = nil
    return (TAGS[tag] or self:fail("unknown tag"))(self)
  elseif line:sub(1, 4) == "---|" then
    if not self.choices then
      self:fail("a choice without an alias")
    end
    self.rest = line:sub(5):gsub("^ +", "")
    self.choices[#self.choices + 1] = self.rest
    self:type()
    return self:end_of_type()
  end
  self.members, self.choices = nil, nil
  if line == "" or line:sub(1, 2) == "--" or line:find("^local %a+ = {}$") then
    return
  end
  signature(self)
end

---Reads annotations; raises for what is not understood, or names that nobody declares.
---@param texts table<string, string> path → text
---@return table<string, table> declared name → members (of a class) or choices (of an alias)
function M.read(texts)
  local declared, used = {}, {}
  for path, text in pairs(texts) do
    local self = setmetatable({ path = path, number = 0, declared = declared, used = used, params = {} }, Reader)
    for line in (text .. "\n"):gmatch("([^\n]*)\n") do
      self.number, self.line = self.number + 1, line
      line_of(self)
    end
  end
  for _, use in ipairs(used) do
    if not declared[use.name] then
      error(use.where .. ": nobody declares " .. use.name, 0)
    end
  end
  return declared
end

return M
