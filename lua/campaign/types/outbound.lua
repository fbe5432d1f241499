---@meta
-- SPDX-License-Identifier: MIT
-- Written by tools/types.lua from platform/outbound.lua; not loaded when a program runs.

---@class campaign.outbound.upload_contacts_file.fields
---@field dataSourceFile string|campaign.file CSV in GBK; a ready file is sent byte for byte
---@field companyId integer? enterprise id
---@field abbreviate string? enterprise short name
---@field dataSourceName string name of the data source to fill
---@field operationType "0"|"1"|nil append unless overwrite is named
---@field dataSourceType "0"? left out unless given

---@class campaign.outbound.Answer
---@field code integer? return code (返回码)
---@field msg string? return text (返回说明)
---@field [string] any

---@class campaign.outbound.upload_dnc_file.fields
---@field dataSourceFile string|campaign.file CSV in GBK with exactly one column, the uuid; a ready file is sent byte for byte
---@field companyId integer? enterprise id
---@field abbreviate string? enterprise short name
---@field dataSourceName string name of the DNC data source
---@field dataSourceType "1"? left out unless given

---@class campaign.outbound.upload_contacts_json.fields
---@field abbreviate string? enterprise short name
---@field companyId integer? enterprise id
---@field dataList string[][] rows, each a list of texts in the order of the group's customFields; all equally wide
---@field dataSourceName string name of the data source to fill

---@class campaign.outbound.get_contact_group_detail.fields
---@field abbreviate string? enterprise short name

---@class campaign.outbound.Column
---@field id integer?
---@field name string? field name
---@field type1 0|1|integer|nil whether the field is mandatory
---@field type2 string? field type, an open set
---@field length integer? most characters of a value (a hint)
---@field [string] any

---@class campaign.outbound.ContactGroup
---@field companyId integer?
---@field abbreviate string?
---@field id integer? contact group id
---@field type 0|1|integer|nil kind of the group
---@field groupName string?
---@field total integer? number of contacts
---@field utime integer? update time as sent; campaign.instant reads it
---@field dataSourceName string? the name that uploads use
---@field customFields campaign.outbound.Column[]? the columns, in order
---@field [string] any

---@class campaign.outbound.get_contact_group_detail.reply
---@field msg string?
---@field code integer?
---@field data campaign.outbound.ContactGroup[]? data sources
---@field [string] any

---@class campaign.outbound.upload_dnc_json.fields
---@field abbreviate string? enterprise short name
---@field dataList string[] contact uuids, a flat list
---@field dataSourceName string name of the DNC data source

---outbound-call contact platform (任务联系人管理)
---@class campaign.client.outbound: campaign.client
local client = {}

---Upload task contacts from a GBK CSV file; append or overwrite.
---@param fields campaign.outbound.upload_contacts_file.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_contacts_file(fields, options) end

---Upload do-not-call uuids from a GBK CSV file with one column.
---@param fields campaign.outbound.upload_dnc_file.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_dnc_file(fields, options) end

---Append task contacts from JSON rows; append only.
---@param fields campaign.outbound.upload_contacts_json.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_contacts_json(fields, options) end

---List the data sources of the enterprise with their columns.
---@param fields campaign.outbound.get_contact_group_detail.fields?
---@param options campaign.options?
---@return campaign.outbound.get_contact_group_detail.reply? reply
---@return campaign.error? err
function client:get_contact_group_detail(fields, options) end

---Upload do-not-call uuids from JSON.
---@param fields campaign.outbound.upload_dnc_json.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_dnc_json(fields, options) end
