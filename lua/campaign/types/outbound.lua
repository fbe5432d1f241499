---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors, written by `campaign describe --format types` from the data of the platform outbound; not loaded when a program runs.
-- Lines in brackets are those of the vendor's document 000_84440ca7c8efd69b.txt.

---@alias campaign.outbound.operation_type
---| "0" # append (追加)
---| "1" # overwrite (覆盖): replaces all rows; refused while a task runs, is paused or completed, or starts within 30 minutes

---@alias campaign.outbound.task_data_source
---| "0" # task data source (default)

---@class campaign.outbound.upload_contacts_file.fields
---@field dataSourceFile string|campaign.file CSV in GBK; a ready file is sent byte for byte [:17]
---@field companyId integer? enterprise id [:18]
---@field abbreviate string? enterprise short name [:19]
---@field dataSourceName string name of the data source to fill [:20]
---@field operationType campaign.outbound.operation_type? append unless overwrite is named; default 0 [:21]
---@field dataSourceType campaign.outbound.task_data_source? left out unless given [:22]

---the reply of every upload
---@class campaign.outbound.Answer
---@field code integer? return code (返回码) [:26]
---@field msg string? return text (返回说明) [:27]
---@field [string] any

---@alias campaign.outbound.dnc_data_source
---| "1" # DNC data source (default)

---@class campaign.outbound.upload_dnc_file.fields
---@field dataSourceFile string|campaign.file CSV in GBK with exactly one column, the uuid; a ready file is sent byte for byte [:39]
---@field companyId integer? enterprise id [:40]
---@field abbreviate string? enterprise short name [:41]
---@field dataSourceName string name of the DNC data source [:42]
---@field dataSourceType campaign.outbound.dnc_data_source? left out unless given [:43]

---@class campaign.outbound.upload_contacts_json.fields
---@field abbreviate string? enterprise short name [:126]
---@field companyId integer? enterprise id [:127]
---@field dataList string[][] rows, each a list of texts in the order of the group's customFields; all equally wide; at least 1 entry; each: at least 1 entry [:128]
---@field dataSourceName string name of the data source to fill [:131]

---@class campaign.outbound.get_contact_group_detail.fields
---@field abbreviate string? enterprise short name [:147]

---@alias campaign.outbound.group_kind
---| 0 # task data source (datasource数据源)
---| 1 # DNC data source (过滤号码数据源)
---| integer

---@alias campaign.outbound.column_mandatory
---| 0 # optional (PROPOSED)
---| 1 # mandatory (PROPOSED)
---| integer

---a field of a contact group
---@class campaign.outbound.Column
---@field id integer? [:162]
---@field name string? field name [:163]
---@field type1 campaign.outbound.column_mandatory? whether the field is mandatory [:164]
---@field type2 string? field type, an open set [:165]
---@field length integer? most characters of a value (a hint) [:166]
---@field [string] any

---a data source with its columns
---@class campaign.outbound.ContactGroup
---@field companyId integer? [:153]
---@field abbreviate string? [:154]
---@field id integer? contact group id [:155]
---@field type campaign.outbound.group_kind? kind of the group [:156]
---@field groupName string? [:157]
---@field total integer? number of contacts [:158]
---@field utime integer? update time as sent; campaign.instant reads it [:159]
---@field dataSourceName string? the name that uploads use [:160]
---@field customFields campaign.outbound.Column[]? the columns, in order [:161]
---@field [string] any

---@class campaign.outbound.get_contact_group_detail.reply
---@field msg string? [:150]
---@field code integer? [:151]
---@field data campaign.outbound.ContactGroup[]? data sources [:152]
---@field [string] any

---@class campaign.outbound.upload_dnc_json.fields
---@field abbreviate string? enterprise short name [:189]
---@field dataList string[] contact uuids, a flat list; at least 1 entry; each: at least 1 character [:190]
---@field dataSourceName string name of the DNC data source [:191]

---@alias campaign.outbound.waiter
---| "contact_group_updated" # until an upload shows: total or update time of the data source differ from before

---outbound-call contact platform (任务联系人管理)
---@class campaign.client.outbound: campaign.client
local client = {}

---Upload task contacts from a GBK CSV file; append or overwrite.
---
---`POST /api/v1/config/openapi/contact/uploadDataSource/v2`; adds to what is there [000_84440ca7c8efd69b.txt:4]
---Closed from 00:00:00 to 02:00:00 (UTC+08:00).
---@param fields campaign.outbound.upload_contacts_file.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_contacts_file(fields, options) end

---Upload do-not-call uuids from a GBK CSV file with one column.
---
---`POST /api/v1/config/openapi/contact/uploadDncDataSource/v2`; adds to what is there [000_84440ca7c8efd69b.txt:30]
---@param fields campaign.outbound.upload_dnc_file.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_dnc_file(fields, options) end

---Append task contacts from JSON rows; append only.
---
---`POST /api/v1/config/openapi/contact/batch/json/upload`; adds to what is there [000_84440ca7c8efd69b.txt:99]
---Closed from 00:00:00 to 02:00:00 (UTC+08:00).
---@param fields campaign.outbound.upload_contacts_json.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_contacts_json(fields, options) end

---List the data sources of the enterprise with their columns.
---
---`GET /api/v1/config/openapi/contact/contactGroupDetail`; changes nothing [000_84440ca7c8efd69b.txt:138]
---@param fields campaign.outbound.get_contact_group_detail.fields?
---@param options campaign.options?
---@return campaign.outbound.get_contact_group_detail.reply? reply
---@return campaign.error? err
function client:get_contact_group_detail(fields, options) end

---Upload do-not-call uuids from JSON.
---
---`POST /api/v1/config/openapi/dataSource/uploadDnc/json`; adds to what is there [000_84440ca7c8efd69b.txt:169]
---@param fields campaign.outbound.upload_dnc_json.fields?
---@param options campaign.options?
---@return campaign.outbound.Answer? reply
---@return campaign.error? err
function client:upload_dnc_json(fields, options) end

---@param name campaign.outbound.waiter
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return table? found
---@return campaign.error? err
function client:wait(name, fields, options) end

---@param name campaign.outbound.waiter
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return campaign.waiter? waiter
---@return campaign.error? err
function client:waiter(name, fields, options) end
