-- SPDX-License-Identifier: MIT
-- A platform's message about a batch may repeat its contents: a name, a phone. Messages are stored in ledger, batches.jsonl and
-- report.json, which contain no personal data, so the values of the batch's rows are removed first. The row files contain the values
-- anyway.

local build = require "campaign.api.build"
local error_object = require "campaign.error"
local hashing = require "campaign.api.hashing"
local redact = require "campaign.api.redact"
local rows_module = require "campaign.import.report.rows"

local M = {}

-- Bytes. Shorter values occur in any text by chance, and identify nobody.
local LEAST = 4

-- Maximum bytes kept of a text.
local MOST = 2000

-- Maximum bytes kept of a message about one row.
local MOST_OF_ROW = 300

-- Maximum bytes of all messages about single rows of a batch; messages beyond that are dropped.
local MOST_SAID = 65536

-- Maximum number of values kept for the next search: when a refused batch is narrowed down, its pieces may get the same message.
local MOST_REMEMBERED = 1000

-- The values of the batch's rows that occur in one of the texts, as in the list, percent-encoded, or hashed as they were sent. None if the list can
-- no longer be read, which ends the run elsewhere.
local function found_in(texts, input, batch, known, sent)
  local hidden, seen = {}, {}
  local has_escapes = table.concat(texts):find("%", 1, true) ~= nil
  for _, value in ipairs(known) do
    seen[value], hidden[#hidden + 1] = true, value
  end
  local function look_for(value)
    if #value < LEAST or seen[value] then
      return
    end
    local encoded = has_escapes and build.percent_encode(value) or value
    for _, text in ipairs(texts) do
      if text:find(value, 1, true) or text:find(encoded, 1, true) then
        seen[value] = true
        hidden[#hidden + 1] = value
        known[#known + 1] = #known < MOST_REMEMBERED and value or nil
        return
      end
    end
  end
  pcall(function()
    for _, _, fields in rows_module.each_sent(input, batch) do
      for _, value in ipairs(fields) do
        look_for(value)
      end
      for _, entry in ipairs(sent) do
        local digest = entry.hash and entry.column and hashing.text(entry.hash, fields[entry.column] or "") or ""
        look_for(digest)
        look_for(entry.hash and (entry.hash.output == "upper_hex" and digest:lower() or digest:upper()) or "")
      end
    end
  end)
  return hidden
end

-- The distinct messages about single rows, one per line, as far as they are kept.
local function words_of(refusals)
  local lines, known, size = {}, {}, 0
  for _, refusal in ipairs(refusals or {}) do
    for _, name in ipairs({ "code", "message" }) do
      local text = refusal[name]
      if text and not known[text] then
        known[text] = true
        if size + #text < MOST_SAID then
          size = size + #text + 1
          lines[#lines + 1] = text
        end
      end
    end
  end
  return lines, table.concat(lines, "\n")
end

-- Replaces the messages by the cleaned ones. A removed value may have contained line ends; then the lines no longer match, and no message is kept.
local function put_words(refusals, lines, cleaned)
  local new, at = {}, 0
  for line in (cleaned .. "\n"):gmatch("([^\n]*)\n") do
    at = at + 1
    new[lines[at] or ""] = line
  end
  for _, refusal in ipairs(refusals) do
    for _, name in ipairs({ "code", "message" }) do
      local text = refusal[name]
      refusal[name] = text and at == #lines and new[text] and redact.scrub(new[text], {}, MOST_OF_ROW) or nil
    end
  end
end

---Removes the values of the batch's rows from the platform's messages about it.
---@param input userdata
---@param batch table
---@param verdict table its `message` and `detail` are replaced, and what `failed` says of each row
---@param err campaign.error?
---@param known string[] values that were found before; grows
---@param sent table[] fields of the mapping
---@return campaign.error? err the same, or a cleaned copy
function M.answer(input, batch, verdict, err, known, sent)
  local failed = verdict.failed
  if not (verdict.message or verdict.detail or err or failed) then
    return nil -- nearly all answers have no message
  end
  local texts = {}
  for _, text in ipairs({ verdict.message or false, verdict.detail or false, err and err.message or false, err and err.body or false }) do
    texts[#texts + 1] = text or nil
  end
  local lines, words = words_of(failed)
  texts[#texts + 1] = #lines > 0 and words or nil
  local hidden = #texts > 0 and found_in(texts, input, batch, known, sent) or {}
  local function clean(text)
    return text and redact.scrub(text, hidden, MOST)
  end
  verdict.message, verdict.detail = clean(verdict.message), clean(verdict.detail)
  if failed then -- even if no message is kept: the original ones must be removed
    put_words(failed, lines, redact.scrub(words, hidden, MOST_SAID))
  end
  if not err or clean(err.message) == err.message and clean(err.body) == err.body then
    return err
  end
  local copy = {}
  for name, value in pairs(err) do
    copy[name] = value
  end
  copy.message, copy.body = clean(err.message), clean(err.body)
  return error_object.new(copy)
end

return M
