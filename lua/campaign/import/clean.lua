-- SPDX-License-Identifier: MIT
-- What a platform says about a batch may repeat what was in it: a name, a phone. Those words go into ledger, batches.jsonl and report.json, which hold
-- no personal data, so the values of the batch's rows are taken out of them first. The row files have the values anyway.

local error_object = require "campaign.error"
local redact = require "campaign.api.redact"
local rows_module = require "campaign.import.rows"

local M = {}

-- Shorter values (bytes) are in any text by chance, and tell nobody apart.
local LEAST = 4

-- Most bytes of a text that are kept.
local MOST = 2000

-- Values that were found once are looked for again: a refused batch is narrowed down, and its pieces may be answered with the same words.
local MOST_REMEMBERED = 1000

-- The values of the batch's rows that occur in one of the texts. A list that cannot be read any more has none to tell: that ends the run elsewhere.
local function found_in(texts, input, batch, known)
  local hidden, seen = {}, {}
  for _, value in ipairs(known) do
    seen[value], hidden[#hidden + 1] = true, value
  end
  pcall(function()
    for _, _, fields in rows_module.each_sent(input, batch) do
      for _, value in ipairs(fields) do
        if #value >= LEAST and not seen[value] then
          for _, text in ipairs(texts) do
            if text:find(value, 1, true) then
              seen[value] = true
              hidden[#hidden + 1] = value
              known[#known + 1] = #known < MOST_REMEMBERED and value or nil
              break
            end
          end
        end
      end
    end
  end)
  return hidden
end

---Takes what the batch's rows hold out of what is said about them.
---@param input userdata
---@param batch table
---@param verdict table its `message` and `detail` are replaced
---@param err campaign.error?
---@param known string[] values that were found before; grows
---@return campaign.error? err the same, or a cleaned copy
function M.answer(input, batch, verdict, err, known)
  if not (verdict.message or verdict.detail or err) then
    return nil -- nearly all answers say nothing
  end
  local texts = {}
  for _, text in ipairs({ verdict.message or false, verdict.detail or false, err and err.message or false, err and err.body or false }) do
    texts[#texts + 1] = text or nil
  end
  if #texts == 0 then
    return err
  end
  local hidden = found_in(texts, input, batch, known)
  local function clean(text)
    return text and redact.scrub(text, hidden, MOST)
  end
  verdict.message, verdict.detail = clean(verdict.message), clean(verdict.detail)
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
