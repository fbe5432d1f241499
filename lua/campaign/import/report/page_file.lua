-- SPDX-License-Identifier: MIT
-- Writes report.html, whole or not at all. It is made of the ledger and can be made again.

local durable = require "campaign.durable"
local folder_module = require "campaign.import.folder"
local page = require "campaign.import.report.page"
local page_facts = require "campaign.import.report.page_facts"

local M = {}

local PRIVATE = 384 -- 0600

---@param source table as page_facts.gather takes it
---@param options { lang: "en"|"zh"|nil, output: string? }? output: a path other than report.html of the job folder
---@return string? path
---@return campaign.error? err
function M.write(source, options)
  options = options or {}
  local facts, err = page_facts.gather(source)
  if not facts then
    return nil, err
  end
  local path = options.output or source.folder.page
  local is_beside = (path:match("^(.*)/") or ".") == source.folder.path:gsub("/+$", "")
  local ok
  ok, err = durable.write(path, page.text(facts, { lang = options.lang, is_beside = is_beside, pause = source.pause }), PRIVATE)
  if not ok then
    if options.output then
      return nil, err
    end
    return folder_module.trouble(source.folder.path, err)
  end
  return path
end

return M
