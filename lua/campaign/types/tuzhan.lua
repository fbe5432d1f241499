---@meta
-- SPDX-License-Identifier: MIT
-- Written by tools/types.lua from platform/tuzhan.lua; not loaded when a program runs.

---@class campaign.tuzhan.PublicParams
---@field isMatching boolean whether to match customers
---@field matchingType 1|2|nil
---@field identifyWay 1|2|nil order in which identities are tried
---@field accurateMatchType "gzh"|"workwechat"|"YOUZAN"|"EZR"|"contentminiapp"|"contenthome"|nil application for exact matching
---@field accurateMatchValue string? id of that application
---@field optType "add"|"update"|"delete" add, update or delete; there is no default

---@class campaign.tuzhan.Relation
---@field identityType "phone"|"thirdId"|"openid"|"unionid"|nil which identity of this row is used in exact matching
---@field thirdId string? customer id (客户ID)
---@field openid string? official-account openid
---@field unionid string? open-platform unionid
---@field phone string? mobile number
---@field groups string[] names of the groups

---@class campaign.tuzhan.batch_add_group_relations.fields
---@field publicParams campaign.tuzhan.PublicParams
---@field data campaign.tuzhan.Relation[]

---@class campaign.tuzhan.FailedRelation
---@field identityType string?
---@field thirdId string?
---@field openid string?
---@field unionid string?
---@field phone string?
---@field groups string?
---@field [string] any

---@class campaign.tuzhan.ImportResult
---@field status -1|0|1|2|integer|nil
---@field message string?
---@field importSuccessNum integer?
---@field importFailNum integer?
---@field errorData campaign.tuzhan.FailedRelation[]? the rows that failed
---@field [string] any

---@class campaign.tuzhan.batch_add_group_relations.reply
---@field code string? status code as text
---@field errorCode string? SUCCESS, or the kind of failure
---@field msg string?
---@field data campaign.tuzhan.ImportResult?
---@field [string] any

---Tuzhan audience groups (兔展客户分组)
---@class campaign.client.tuzhan: campaign.client
local client = {}

---Add, update or delete which groups customers belong to.
---@param fields campaign.tuzhan.batch_add_group_relations.fields?
---@param options campaign.options?
---@return campaign.tuzhan.batch_add_group_relations.reply? reply
---@return campaign.error? err
function client:batch_add_group_relations(fields, options) end
