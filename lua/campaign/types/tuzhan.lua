---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors, written by `campaign describe --format types` from the data of the platform tuzhan; not loaded when a program runs.
-- Lines in brackets are those of the vendor's document 001_4df16061c51205d3.txt.

---@alias campaign.tuzhan.matching_type
---| 1 # exact (精准匹配)
---| 2 # fuzzy (模糊匹配)

---@alias campaign.tuzhan.identify_way
---| 1 # unionid > openid > phone > customer id
---| 2 # customer id > phone > openid > unionid

---@alias campaign.tuzhan.application
---| "gzh" # official account (公众号)
---| "workwechat" # WeCom (企业微信)
---| "YOUZAN" # Youzan (有赞)
---| "EZR" # EZR (驿客)
---| "contentminiapp" # mini program (小程序)
---| "contenthome" # mini program home page (小程序首页)

---@alias campaign.tuzhan.opt_type
---| "add" # add (新增)
---| "update" # update (更新)
---| "delete" # delete (删除)

---settings of the import (客户关联分组导入配置) [:18]
---@class campaign.tuzhan.PublicParams
---@field isMatching boolean whether to match customers [:21]
---@field matchingType campaign.tuzhan.matching_type? required if isMatching is true; only if isMatching is true [:22]
---@field identifyWay campaign.tuzhan.identify_way? order in which identities are tried; required if matchingType is 2; only if matchingType is 2 [:23]
---@field accurateMatchType campaign.tuzhan.application? application for exact matching; required if accurateMatchValue is given; only if matchingType is 1 [:24]
---@field accurateMatchValue string? id of that application; at least 1 character; required if accurateMatchType is given; only if matchingType is 1 [:25]
---@field optType campaign.tuzhan.opt_type add, update or delete; there is no default [:26]

---@alias campaign.tuzhan.identity_type
---| "phone" # mobile number (手机号码)
---| "thirdId" # customer id (客户ID)
---| "openid" # official-account openid
---| "unionid" # open-platform unionid

---one customer and the groups (客户关联分组) [:27]
---@class campaign.tuzhan.Relation
---@field identityType campaign.tuzhan.identity_type? which identity of this row is used in exact matching; required if /publicParams.matchingType is 1 [:30]
---@field thirdId string? customer id (客户ID); at least one of thirdId, openid, unionid, phone [:31]
---@field openid string? official-account openid; at least one of thirdId, openid, unionid, phone [:32]
---@field unionid string? open-platform unionid; at least one of thirdId, openid, unionid, phone [:33]
---@field phone string? mobile number; at least one of thirdId, openid, unionid, phone [:34]
---@field groups string[]|string names of the groups; at least 1 entry; sent as one text, joined by ',', and may be given so; each: at least 1 character; each: not blank; each: without any of ',，' [:35]

---@class campaign.tuzhan.batch_add_group_relations.fields
---@field publicParams campaign.tuzhan.PublicParams [:16]
---@field data campaign.tuzhan.Relation[] at least 1 entry [:17]

---@alias campaign.tuzhan.import_status
---| -1 # failed (失败)
---| 0 # in progress (进行中)
---| 1 # succeeded (成功)
---| 2 # partly imported (部分导入成功)
---| integer

---a row that was not imported, as the platform gives it back
---@class campaign.tuzhan.FailedRelation
---@field identityType string?
---@field thirdId string?
---@field openid string?
---@field unionid string?
---@field phone string?
---@field groups string?
---@field [string] any

---result of the import [:56]
---@class campaign.tuzhan.ImportResult
---@field status campaign.tuzhan.import_status?
---@field message string?
---@field importSuccessNum integer?
---@field importFailNum integer?
---@field errorData campaign.tuzhan.FailedRelation[]? the rows that failed
---@field [string] any

---@class campaign.tuzhan.batch_add_group_relations.reply
---@field code string? status code as text [:52]
---@field errorCode string? SUCCESS, or the kind of failure [:53]
---@field msg string? [:54]
---@field data campaign.tuzhan.ImportResult? [:55]
---@field [string] any

---Tuzhan audience groups (兔展客户分组)
---@class campaign.client.tuzhan: campaign.client
local client = {}

---Add, update or delete which groups customers belong to.
---
---`POST /api/integrate/audience/group/rel/batchAdd`; changes something [001_4df16061c51205d3.txt:3]
---@param fields campaign.tuzhan.batch_add_group_relations.fields?
---@param options campaign.options?
---@return campaign.tuzhan.batch_add_group_relations.reply? reply
---@return campaign.error? err
function client:batch_add_group_relations(fields, options) end
