-- SPDX-License-Identifier: MIT
-- Writes the manual page and the completions of the shells from the options of the command (lua/campaign/cli/options.lua), for `make install`.
-- Run by the build, with the core that it has just built:
--
--   lua tools/manual.lua OUT VERSION LUA_FOLDER CORE_FOLDER

local out, version, lua_folder, core_folder = arg[1], arg[2], arg[3], arg[4]
package.path = lua_folder .. "/?.lua;" .. lua_folder .. "/?/init.lua;" .. package.path
package.cpath = core_folder .. "/?.so;" .. package.cpath

local options = require "campaign.cli.options"

-- Where argparse begins the text of an option: to the right of every label, so that what stands left of it is a label and nothing else.
local MARGIN = 60
-- No line is broken.
local WIDTH = 10000

local ENVIRONMENT = {
  { "CAMPAIGN_<PLATFORM>_<KEY>", "A value of the platform's account, such as CAMPAIGN_LONGLONG_TOKEN and CAMPAIGN_LONGLONG_BASE_URL. "
    .. "`campaign describe PLATFORM` lists the keys." },
  { "CAMPAIGN_LUA", "The Lua that runs the command: 5.4 or luajit." },
  { "CAMPAIGN_SANDBOX_URL", "The sandbox that `campaign verify --sandbox` asks." },
}

local FILES = {
  { "~/.config/campaign/accounts.json", "Accounts by platform and name; its mode must be 0600." },
  { "~/.local/state/campaign", "Access tokens and the pace of each account." },
  { "campaign-jobs", "Folders of jobs, below the current folder." },
}

local STATUS = {
  { "0", "Success." },
  { "1", "Internal error." },
  { "2", "Usage or input refused; nothing was sent." },
  { "3", "Provably not delivered." },
  { "4", "The outcome of at least one attempt is unknown: look at the platform before sending it again." },
  { "5", "Refused by the platform." },
  { "6", "Credentials missing or refused." },
  { "7", "Finished, but some rows were rejected." },
  { "8", "Stopped: disk, folder, memory, clock, a lock that another process holds, books that do not balance." },
  { "130", "Interrupted." },
}

-- A text as roff shows it: no escapes, no requests, hyphens that can be copied.
local function plain(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("`([^`]*)`", "\\fB%1\\fP")
  return (text:gsub("^([.'])", "\\&%1"))
end

local function entry(page, label, text)
  page[#page + 1] = ".TP\n.B " .. plain(label) .. "\n" .. plain(text)
end

local function entries(page, title, list)
  page[#page + 1] = ".SH " .. title
  for _, item in ipairs(list) do
    entry(page, item[1], item[2])
  end
end

-- The arguments and options in a help text: lists of { label, text }. A label that ends in a comma goes on below its text's first line.
local function items_of(help)
  local items, is_open = {}, false
  for line in help:gmatch("[^\n]+") do
    if line:find("^   +%S") then
      local label, text = line:sub(1, MARGIN - 1):match("^%s*(.-)%s*$"), line:sub(MARGIN):match("^%s*(.-)%s*$")
      if is_open then
        local last = items[#items]
        last[1], last[2] = last[1] .. " " .. label, last[2] .. text
      else
        items[#items + 1] = { label, text }
      end
      is_open = label:find(",$") ~= nil
    end
  end
  return items
end

local function write(name, text)
  local file = assert(io.open(out .. "/" .. name, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local _, commands = options.parser()

local page = {
  '.\\" Written by tools/manual.lua from the options of the command. -*- coding: utf-8 -*-',
  ('.TH CAMPAIGN 1 "" "campaign %s" "User commands"\n.nh\n.ad l'):format(version),
  ".SH NAME\ncampaign \\- import contact lists into marketing platforms and account for every row",
  ".SH SYNOPSIS\n.B campaign\n.I COMMAND\n.RI [ OPTION ]...\n.br\n.B campaign help\n.RI [ COMMAND ]",
  ".SH DESCRIPTION\n" .. plain("campaign reads a contact list, checks every row, converts it to the encoding and the batches that a marketing "
    .. "platform wants, sends it, and reports what became of each row. A request whose outcome is unknown is listed and never "
    .. "repeated by itself."),
  ".SH COMMANDS",
}
for _, command in ipairs(commands) do
  command:help_description_margin(MARGIN):help_max_width(WIDTH):usage_max_width(WIDTH)
  local help, examples = command:get_help():match("^(.-)\nExamples:\n(.*)$")
  if not help then
    error("a command has no examples: " .. command:get_usage())
  end
  local usage, summary = help:match("^Usage: ([^\n]+)\n\n([^\n]+)\n")
  page[#page + 1] = ".SS " .. plain(usage:match("^campaign %S+")) .. "\n" .. plain(summary)
  page[#page + 1] = ".PP\n" .. plain(usage)
  for _, item in ipairs(items_of(help:match("\n\n[^\n]+\n(.*)$"))) do
    if item[1] ~= "-h, --help" then
      entry(page, item[1], item[2])
    end
  end
  page[#page + 1] = ".PP\nExamples:\n.PP\n.nf\n.RS"
  for line in examples:gmatch("[^\n]+") do
    page[#page + 1] = plain(line:match("^%s*(.*)$"))
  end
  page[#page + 1] = ".RE\n.fi"
end
entries(page, "EXIT STATUS", STATUS)
page[#page + 1] = ".PP\nSeveral at once: 8, 4, 6, 3, 5, 7 in this order."
entries(page, "ENVIRONMENT", ENVIRONMENT)
entries(page, "FILES", FILES)
page[#page + 1] = ".SH SEE ALSO\nThe pages in the folder share/doc/campaign of the installation."
write("campaign.1", table.concat(page, "\n") .. "\n")

-- Parsers as `campaign help` has them, before the margins above.
local parser = options.parser()
write("campaign.bash", parser:get_bash_complete() .. "\n")
write("_campaign", parser:get_zsh_complete() .. "\n")
write("campaign.fish", parser:get_fish_complete() .. "\n")
