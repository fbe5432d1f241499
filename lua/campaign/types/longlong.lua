---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors, written by `campaign describe --format types` from the data of the platform longlong; not loaded when a program runs.
-- Lines in brackets are those of the vendor's document 003_53bb51a09a62e83d.txt.

---@alias campaign.longlong.sex
---| 0 # unknown (未知)
---| 1 # male (男)
---| 2 # female (女)

---a custom field of the pool template [:54]
---@class campaign.longlong.Component
---@field id string component id from the pool template (公海创建模板) [:56]
---@field value string value to store, sent as text [:57]

---one row of the pool [:23]
---@class campaign.longlong.Customer
---@field name string? contact name (联系人名称) [:24]
---@field phone string number; may be cipher text [:25]
---@field email string? [:26]
---@field company string? company; may be cipher text [:27]
---@field sex campaign.longlong.sex? [:28]
---@field sort integer? sort order [:29]
---@field source_id integer? information source id [:30]
---@field industry_id integer? industry id [:31]
---@field grade_id integer? customer grade id [:32]
---@field components campaign.longlong.Component[]? custom fields [:33]
---@field extra string? the caller's own mark, handed back [:34]

---@class campaign.longlong.import_customers_async.fields
---@field user_id string? user id [:13]
---@field data campaign.longlong.Customer[] 1 to 200 entries [:19]
---@field encryption boolean? phone and company in this request are encrypted already; default false [:36]
---@field sub_user_id string? act for this sub-account; at least 1 character [:35]

---@class campaign.longlong.import_customers_async.reply.data
---@field unique_id string? batch number of the callback [:293]
---@field [string] any

---@class campaign.longlong.import_customers_async.reply
---@field code integer? [:289]
---@field status string? [:290]
---@field message string? [:291]
---@field data campaign.longlong.import_customers_async.reply.data? [:292]
---@field [string] any

---Longlonglong AI calls: customer pool (客户公海)
---@class campaign.client.longlong: campaign.client
local client = {}

---Import up to 200 customers into the shared pool; the outcome comes by callback.
---
---`POST /agent-api/user/{user_id}/async_customer`; adds to what is there [003_53bb51a09a62e83d.txt:7]
---@param fields campaign.longlong.import_customers_async.fields?
---@param options campaign.options?
---@return campaign.longlong.import_customers_async.reply? reply
---@return campaign.error? err
function client:import_customers_async(fields, options) end
