-- SPDX-License-Identifier: MIT
-- The few things the bench needs of the system, through the shell: run, capture, files, a tool's
-- place.

local M = {}

function M.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

function M.join(words)
  local out = {}
  for i, word in ipairs(words) do
    out[i] = M.quote(word)
  end
  return table.concat(out, " ")
end

---True when the command's exit status is 0 (LuaJIT answers with a number, 5.4 with true or nil).
function M.run(command)
  local status = os.execute(command)
  return status == true or status == 0
end

---What the command prints, without the last line end.
function M.capture(command)
  local pipe = assert(io.popen(command, "r"))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("\n$", ""))
end

function M.read(path)
  local file = io.open(path, "rb")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

function M.exists(path)
  local file = io.open(path, "rb")
  return file ~= nil and file:close() and true
end

---Path of a program, also of those that only root has in PATH; nil when there is none.
function M.which(name)
  local command = "PATH=$PATH:/usr/sbin:/sbin command -v %s 2>/dev/null"
  local path = M.capture(command:format(M.quote(name)))
  return path ~= "" and path or nil
end

return M
