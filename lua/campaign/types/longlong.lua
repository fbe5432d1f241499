---@meta
-- SPDX-License-Identifier: MIT
-- Written by tools/types.lua from platform/longlong.lua; not loaded when a program runs.

---@class campaign.longlong.Component
---@field id string component id from the pool template (公海创建模板)
---@field value string value to store, sent as text

---@class campaign.longlong.Customer
---@field name string? contact name (联系人名称)
---@field phone string number; may be cipher text
---@field email string?
---@field company string? company; may be cipher text
---@field sex 0|1|2|nil
---@field sort integer? sort order
---@field source_id integer? information source id
---@field industry_id integer? industry id
---@field grade_id integer? customer grade id
---@field components campaign.longlong.Component[]? custom fields
---@field extra string? the caller's own mark, handed back

---@class campaign.longlong.import_customers_async.fields
---@field user_id string? user id
---@field data campaign.longlong.Customer[]
---@field encryption boolean? phone and company in this request are encrypted already
---@field sub_user_id string? act for this sub-account

---@class campaign.longlong.import_customers_async.reply.data
---@field unique_id string? batch number of the callback
---@field [string] any

---@class campaign.longlong.import_customers_async.reply
---@field code integer?
---@field status string?
---@field message string?
---@field data campaign.longlong.import_customers_async.reply.data?
---@field [string] any

---Longlonglong AI calls: customer pool (客户公海)
---@class campaign.client.longlong: campaign.client
local client = {}

---Import up to 200 customers into the shared pool; the outcome comes by callback.
---@param fields campaign.longlong.import_customers_async.fields?
---@param options campaign.options?
---@return campaign.longlong.import_customers_async.reply? reply
---@return campaign.error? err
function client:import_customers_async(fields, options) end
