-- SPDX-License-Identifier: MIT
-- The rules of the house that a program can check: layers, file sizes, heads, leftovers, and patterns that could run for ever.
-- Reads the files that git knows (or, without git, the tree as it stands).

local lfs = require "lfs"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function walk(folder, files)
  for name in lfs.dir(folder) do
    if name:sub(1, 1) ~= "." and not name:find("^build") then
      local path = folder == "." and name or folder .. "/" .. name
      if lfs.attributes(path, "mode") == "directory" then
        walk(path, files)
      else
        files[#files + 1] = path
      end
    end
  end
  return files
end

local function list_files()
  local files = {}
  local pipe = io.popen("git ls-files --cached --others --exclude-standard 2>/dev/null")
  for path in pipe:lines() do
    if lfs.attributes(path, "mode") == "file" then
      files[#files + 1] = path
    end
  end
  pipe:close()
  return #files > 0 and files or walk(".", files)
end

local FILES = list_files()

local function each(pattern)
  local index = 0
  return function()
    repeat
      index = index + 1
    until not FILES[index] or FILES[index]:find(pattern)
    if FILES[index] then
      return FILES[index], read(FILES[index])
    end
  end
end

local function lines_of(text)
  local _, count = text:gsub("\n", "\n")
  return count
end

-- Fails with all faults at once, one a line.
local function expect_none(faults)
  assert(#faults == 0, "\n" .. table.concat(faults, "\n"))
end

-- What each part of lua/campaign must not require. Data flows from the command down to the core.
local FORBIDDEN = {
  { "^lua/campaign/platform/", { "." } },
  { "^lua/campaign/error%.lua$", { "campaign.api", "campaign.import", "campaign.cli", "campaign.transport" } },
  { "^lua/campaign/api/", { "campaign.import", "campaign.ledger", "campaign.cli", "campaign.sandbox" } },
  { "^lua/campaign/auth/", { "campaign.import", "campaign.ledger", "campaign.cli", "campaign.sandbox" } },
  { "^lua/campaign/pace/", { "campaign.api", "campaign.import", "campaign.ledger", "campaign.cli", "campaign.sandbox", "campaign.transport" } },
  { "^lua/campaign/transport/", { "campaign.api", "campaign.import", "campaign.ledger", "campaign.cli",
    "campaign.sandbox" } },
  { "^lua/campaign/recording/", { "campaign.import", "campaign.ledger", "campaign.cli", "campaign.sandbox" } },
  { "^lua/campaign/import/", { "campaign.cli", "campaign.sandbox", "campaign.job" } },
  { "^lua/campaign/import/report/", { "campaign.import.plan", "campaign.import.run" } },
  { "^lua/campaign/job/", { "campaign.cli", "campaign.sandbox" } },
  { "^lua/campaign/sandbox/", { "campaign.cli", "campaign.import" } },
  { "^lua/campaign/describe/", { "campaign.import", "campaign.ledger", "campaign.cli", "campaign.sandbox", "campaign.transport" } },
  { "^lua/campaign/interface%.lua$", { "campaign.cli" } },
}

describe("style", function()
  it("keeps Lua out of the core and libraries out of the bindings", function()
    local faults = {}
    for path, text in each("^src/.*%.[ch]$") do
      for line in text:gmatch("#%s*include%s*[<\"]([^>\"]+)") do
        local binding = path:find("^src/lua/")
        local name = path:match("([^/]+)%.[ch]$")
        if not binding and (line:find("^lua") or line:find("^lauxlib") or line:find("^lualib")) then
          faults[#faults + 1] = path .. " is core and includes " .. line
        end
        if (line:find("^curl/") and name ~= "libcurl")
          or (line == "libcurl.h" and (binding or not (name:find("^http") or name == "form" or name == "libcurl"))) then
          faults[#faults + 1] = path .. " includes " .. line .. ": only http and form know libcurl"
        end
        if line:find("^openssl/") and (binding or name ~= "digest") then
          faults[#faults + 1] = path .. " includes " .. line .. ": only digest knows OpenSSL"
        end
        if (line == "xlsxwriter.h" and name ~= "libxlsx") or (line == "libxlsx.h" and name ~= "sheet" and name ~= "libxlsx") then
          faults[#faults + 1] = path .. " includes " .. line .. ": only sheet knows libxlsxwriter"
        end
        if (line == "expat.h" and name ~= "libexpat") or (line == "libexpat.h" and name ~= "xml" and name ~= "libexpat") then
          faults[#faults + 1] = path .. " includes " .. line .. ": only xml knows Expat"
        end
        if (line == "zip.h" and name ~= "libzip") or (line == "libzip.h" and name ~= "archive" and name ~= "libzip") then
          faults[#faults + 1] = path .. " includes " .. line .. ": only archive knows libzip"
        end
        if (line == "sqlite3.h" and name ~= "libsqlite")
          or (line == "libsqlite.h" and name ~= "store" and name ~= "store_log" and name ~= "store_lines" and name ~= "libsqlite") then
          faults[#faults + 1] = path .. " includes " .. line .. ": only store knows SQLite"
        end
      end
    end
    expect_none(faults)
  end)

  it("requires only what stands below", function()
    local faults = {}
    for path, text in each("^lua/campaign/.*%.lua$") do
      for _, rule in ipairs(FORBIDDEN) do
        if path:find(rule[1]) then
          for _, word in ipairs({ "require", "later%.module" }) do
            for name in text:gmatch(word .. "%s*%(?%s*[\"']([%w_.]+)") do
              for _, forbidden in ipairs(rule[2]) do
                if forbidden == "." or name == forbidden or name:sub(1, #forbidden + 1) == forbidden .. "." then
                  faults[#faults + 1] = path .. " requires " .. name
                end
              end
            end
          end
        end
      end
    end
    expect_none(faults)
  end)

  it("keeps files and clocks out of api/", function()
    local faults = {}
    for path, text in each("^lua/campaign/api/.*%.lua$") do
      for _, word in ipairs{ "io", "os", "core%.system", "core%.source", "core%.form", "core%.http" } do
        for use in text:gmatch("%f[%w_.]" .. word .. "%.?[%w_]*") do
          -- The loader reads platform files, which are parts of the program, as `require` reads modules.
          local is_loader = path:find("/platform%.lua$") and use == "core.system.read_file"
          if use:find("%.") and not is_loader then
            faults[#faults + 1] = path .. " uses " .. use .. ": the world comes in by `env` and the transport"
          end
        end
      end
    end
    expect_none(faults)
  end)

  it("keeps functions out of platform files", function()
    local faults = {}
    for path, text in each("^lua/campaign/platform/.*%.lua$") do
      local number = 0
      for line in text:gmatch("([^\n]*)\n") do
        number = number + 1
        local code = line:gsub("%-%-.*", ""):gsub("\"[^\"]*\"", "")
        if code:find("%f[%w]function%f[%W]") or code:find("%f[%w]require%f[%W]") then
          faults[#faults + 1] = path .. ":" .. number .. ": a platform is data: " .. line
        end
      end
    end
    expect_none(faults)
  end)

  -- The aim is 600 lines of C and 500 of Lua; a fifth above it is the end.
  it("keeps files readable in one sitting", function()
    local faults = {}
    local limits = { { "^src/.*%.c$", 720 }, { "^src/.*%.h$", 180 }, { "^lua/.*%.lua$", 600 } }
    for _, limit in ipairs(limits) do
      for path, text in each(limit[1]) do
        -- Generated tables and platform data are looked up, not read.
        local exempt = path:find("_table%.[ch]$") or path:find("^lua/campaign/platform/") or path:find("^lua/campaign/types/")
        if not exempt and lines_of(text) > limit[2] then
          faults[#faults + 1] = path .. " has " .. lines_of(text) .. " lines; split it below " .. limit[2]
        end
      end
    end
    expect_none(faults)
  end)

  it("names the licence and the purpose at the head of each source file", function()
    local faults = {}
    local function check(path, text)
      if not text:sub(1, 300):find("SPDX-License-Identifier: MIT", 1, true) then
        faults[#faults + 1] = path .. " has no SPDX line at its head"
      end
    end
    for path, text in each("%.[ch]$") do
      if not path:find("_table%.h$") then -- generated; its first line names the generator
        check(path, text)
      end
    end
    for path, text in each("%.lua$") do check(path, text) end
    for path, text in each("^bin/") do check(path, text) end
    for path, text in each("^tools/[^.]+$") do check(path, text) end
    expect_none(faults)
  end)

  it("leaves no note of unfinished work and nothing of the place where it was written", function()
    -- Spelt in pieces, so that this file does not find itself.
    local words = { "TO" .. "DO", "FIX" .. "ME", "X" .. "XX", "/wo" .. "rk/", "yard" .. "stick", "work" .. "tree", "sub" .. "agent",
      "luarocks" .. ".org", "registry" .. ".npmjs", "proxy" .. ".golang" }
    local faults = {}
    for path, text in each(".") do
      -- The contracts are the vendors' words, pictures and lists are data.
      if not path:find("^docs/contracts/") and not path:find("%.csv$") and not path:find("%.png$")
        and not path:find("package%-lock%.json$") then
        for _, word in ipairs(words) do
          if text:find(word, 1, true) then
            faults[#faults + 1] = path .. " says " .. word
          end
        end
      end
    end
    expect_none(faults)
  end)
end)

-- Counts the repeats without an upper bound in a Lua pattern.
local function repeats(pattern)
  local index, count = 1, 0
  while index <= #pattern do
    local char = pattern:sub(index, index)
    if char == "%" then
      local class = pattern:sub(index + 1, index + 1)
      if class == "b" then
        index = index + 4
      elseif class == "f" then
        index = index + 2
        char = nil
      else
        index = index + 2
      end
    elseif char == "[" then
      local close = pattern:find("]", index + 2, true)
      index = (close or #pattern) + 1
    else
      index = index + 1
    end
    if char and char ~= "(" and char ~= ")" and char ~= "^" and pattern:sub(index, index):find("[*+-]") then
      count = count + 1
      index = index + 1
    end
  end
  return count
end

describe("patterns", function()
  it("are counted", function()
    assert.are.equal(0, repeats("^[a-z]%d%-x$"))
    assert.are.equal(1, repeats("^%s*(.)"))
    assert.are.equal(2, repeats("^(%d+)%.(%d+)$"))
    assert.are.equal(2, repeats(".-.-b"))
    assert.are.equal(1, repeats("[%w_-]+"))
  end)

  -- Two repeats can take quadratic time and more on hostile text. Where a pattern is provably linear, or never sees outside
  -- text, the line says so: `-- linear: why`.
  it("of the modules have one unbounded repeat at most, or say why they are linear", function()
    local faults = {}
    for path, text in each("^lua/.*%.lua$") do
      local number = 0
      for line in text:gmatch("([^\n]*)\n") do
        number = number + 1
        local call = line:match("[:.]g?match%s*%(.*") or line:match("[:.]find%s*%(.*")
          or line:match("[:.]gsub%s*%(.*")
        if call and not line:find("-- linear:", 1, true) and not call:find(", true)", 1, true) then
          for literal in call:gmatch("\"([^\"]*)\"") do
            if repeats(literal) > 1 then
              faults[#faults + 1] = path .. ":" .. number .. ": \"" .. literal .. "\""
            end
          end
        end
      end
    end
    expect_none(faults)
  end)
end)
