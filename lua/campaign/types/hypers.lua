---@meta
-- SPDX-License-Identifier: MIT
-- Written by tools/types.lua from platform/hypers.lua; not loaded when a program runs.

---@class campaign.hypers.oauth_obtain_token.fields
---@field grant_type string?
---@field username string? login e-mail of the user
---@field password string?

---@class campaign.hypers.Token
---@field access_token string?
---@field token_type string?
---@field expires_in integer? seconds until the access token ends
---@field refresh_token string?
---@field scope string?
---@field [string] any

---@class campaign.hypers.oauth_refresh_token.fields
---@field grant_type string?
---@field refresh_token string the newest one received

---@class campaign.hypers.Content
---@field contentType "TEXT"|"IMAGE"
---@field contentValue string text with {{variables}}, or the URL of a picture

---@class campaign.hypers.Member
---@field userId string?
---@field ciq string?
---@field nickname string?
---@field memberId string|integer|nil sent only when given
---@field [string] any

---@class campaign.hypers.create_notification_task.fields
---@field taskName string
---@field taskType "APPOINTMENT_REMINDER"|"CUSTOMER_RESOURCE_REMINDER"
---@field scheduledStartTime string|number
---@field scheduledEndTime string|number|nil on the day of the start; 22:00:00 when left out
---@field contents campaign.hypers.Content[]
---@field fileIds (string|integer)[]|nil ids of Excel files with members
---@field members campaign.hypers.Member[]?

---@class campaign.hypers.NotificationTask.statistics
---@field totalMembers integer?
---@field successCount integer?
---@field [string] any

---@class campaign.hypers.ContentOutput
---@field contentType "TEXT"|"IMAGE"|nil
---@field contentValue string?
---@field [string] any

---@class campaign.hypers.MemberOutput
---@field userId string?
---@field ciq string?
---@field nickname string?
---@field memberId string?
---@field [string] any

---@class campaign.hypers.NotificationTask
---@field id string? task id
---@field createTime string?
---@field lastUpdateTime string?
---@field taskName string?
---@field taskType string?
---@field status "PENDING"|"EXECUTING"|"COMPLETED"|"TERMINATED"|string|nil
---@field scheduledStartTime string?
---@field scheduledEndTime string?
---@field totalMembers integer?
---@field statistics campaign.hypers.NotificationTask.statistics?
---@field contents campaign.hypers.ContentOutput[]?
---@field fileIds string[]?
---@field members campaign.hypers.MemberOutput[]?
---@field [string] any

---@class campaign.hypers.get_notification_task.fields
---@field taskId string|integer task id

---@class campaign.hypers.terminate_notification_task.fields
---@field taskId string|integer task id
---@field reason string why

---@class campaign.hypers.terminate_notification_task.reply
---@field previousStatus string?
---@field currentStatus string?
---@field [string] any

---@class campaign.hypers.list_notification_tasks.fields
---@field taskType "APPOINTMENT_REMINDER"|"CUSTOMER_RESOURCE_REMINDER"
---@field status "PENDING"|"EXECUTING"|"COMPLETED"|"TERMINATED"|nil
---@field startTime string|number|nil earliest scheduled start
---@field endTime string|number|nil latest scheduled start
---@field current integer? page from 0
---@field size integer? 20 when left out

---@class campaign.hypers.RespPage
---@field current integer?
---@field size integer?
---@field total integer?
---@field [string] any

---@class campaign.hypers.list_notification_tasks.reply
---@field page campaign.hypers.RespPage?
---@field records campaign.hypers.NotificationTask[]?
---@field [string] any

---@class campaign.hypers.list_notification_executions.fields
---@field taskId string|integer task id
---@field current integer? page from 0
---@field size integer? 20 when left out
---@field orderBy "executeTime"|"status"|nil
---@field orderDirection "ASC"|"DESC"|nil

---@class campaign.hypers.Execution
---@field memberId string?
---@field memberName string? the member's nickname
---@field status "SUCCESS"|"FAILED"|"PENDING"|string|nil
---@field status_raw string? as the platform wrote it
---@field executeTime string?
---@field failureReason string?
---@field [string] any

---@class campaign.hypers.list_notification_executions.reply
---@field page campaign.hypers.RespPage?
---@field task_id string?
---@field total_members integer? all members, not the page's
---@field records campaign.hypers.Execution[]?
---@field [string] any

---@class campaign.hypers.upload_file.fields
---@field file string|campaign.file any type
---@field moduleName string? business module

---@class campaign.hypers.File
---@field id string?
---@field fileName string?
---@field signature string? SHA-256 of the content
---@field fileSize integer? bytes
---@field createTime integer? epoch milliseconds
---@field [string] any

---@class campaign.hypers.download_file.fields
---@field id string|integer file id

---@class campaign.hypers.list_marketing_groups.fields
---@field current integer? page from 0; without it the reply is not paged
---@field size integer?
---@field orderBy string[]? field names; the key is repeated
---@field orderDirection "ASC"|"DESC"|nil one direction for all fields
---@field orderNullHandling "NATIVE"|"NULLS_FIRST"|"NULLS_LAST"|nil
---@field keyWord string? search word
---@field ids (string|integer)[]|nil group ids

---@class campaign.hypers.MarketingNoticeGroupOutput
---@field id string?
---@field createTime string?
---@field lastUpdateTime string?
---@field name string?
---@field [string] any

---@class campaign.hypers.list_marketing_groups.reply
---@field content campaign.hypers.MarketingNoticeGroupOutput[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.create_marketing_group.fields
---@field name string group name

---@class campaign.hypers.delete_marketing_group.fields
---@field id string|integer group id

---@class campaign.hypers.update_marketing_group.fields
---@field id string|integer group id
---@field name string group name

---@class campaign.hypers.get_marketing_group.fields
---@field id string|integer group id

---@class campaign.hypers.create_marketing_scene.fields
---@field name string
---@field statisticalMethod "GRAND_TOTAL"|"ONLY"
---@field prompt string
---@field externalId string?
---@field planId string|integer plan it belongs to

---@class campaign.hypers.SceneOutput
---@field id string?
---@field createTime string?
---@field lastUpdateTime string?
---@field name string?
---@field statisticalMethod string?
---@field prompt string?
---@field externalId string?
---@field sceneType "SYSTEM"|"CUSTOM"|string|nil
---@field [string] any

---@class campaign.hypers.list_marketing_scenes.fields
---@field current integer? page from 0; without it the reply is not paged
---@field size integer?
---@field orderBy string[]? field names; the key is repeated
---@field orderDirection "ASC"|"DESC"|nil one direction for all fields
---@field orderNullHandling "NATIVE"|"NULLS_FIRST"|"NULLS_LAST"|nil
---@field keyWord string? search word
---@field externalId string? exact match
---@field planId string|integer|nil

---@class campaign.hypers.list_marketing_scenes.reply
---@field content campaign.hypers.SceneOutput[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.update_marketing_scene.fields
---@field id string|integer scene id
---@field name string
---@field prompt string
---@field externalId string? unchanged when left out

---@class campaign.hypers.get_marketing_scene.fields
---@field id string|integer scene id

---@class campaign.hypers.unbind_scene_external_id.fields
---@field id string|integer scene id

---@class campaign.hypers.MonitoringStrategy
---@field sceneId string|integer
---@field strategy ("AI_SERVICE_END_UNTIL_RESTART"|string)[]

---@class campaign.hypers.Greeting
---@field type "IMAGE"|"TEXT"
---@field [string] any

---@class campaign.hypers.MarketingNoticeData
---@field name string
---@field groupId string|integer
---@field description string?
---@field startTime string? HH:mm, HH:mm:ss or yyyy-MM-dd HH:mm:ss
---@field endTime string? in the same form, after the start
---@field replyStrategy "CONSULTANT_CONTINUE_AFTER_REPLY"|"CONSULTANT_NO_FURTHER_REPLY"|"AI_HOSTING_END_AFTER_REPLY"|nil
---@field replyDelay integer? seconds
---@field unifiedReply boolean?
---@field segmentSeparator string?
---@field minReplyInterval integer? seconds
---@field sceneIds (string|integer)[]|nil
---@field monitoringStrategy campaign.hypers.MonitoringStrategy[]?
---@field prompt string?
---@field backgroundInfo string?
---@field timeInfo string?
---@field referenceCase string?
---@field timeoutWakeUp boolean?
---@field timeout integer? minutes
---@field timeoutPrompt string?
---@field greetings campaign.hypers.Greeting[]?

---@class campaign.hypers.create_marketing_plan.fields
---@field options "DRAFT"|"RELEASE"
---@field data campaign.hypers.MarketingNoticeData

---@class campaign.hypers.MonitoringStrategyOutput
---@field sceneId string?
---@field strategy string[]?
---@field [string] any

---@class campaign.hypers.GreetingOutput
---@field type string?
---@field [string] any

---@class campaign.hypers.PlanOutput
---@field id string? id of the newest version: use the newest reply's
---@field groupId string?
---@field createTime string?
---@field lastUpdateTime string?
---@field name string?
---@field description string?
---@field startTime string?
---@field endTime string?
---@field replyStrategy string?
---@field replyDelay integer?
---@field unifiedReply boolean?
---@field segmentSeparator string?
---@field minReplyInterval integer?
---@field prompt string?
---@field backgroundInfo string?
---@field timeInfo string?
---@field referenceCase string?
---@field timeoutWakeUp boolean?
---@field timeout integer?
---@field timeoutPrompt string?
---@field monitoringStrategy campaign.hypers.MonitoringStrategyOutput[]?
---@field status string?
---@field greetings campaign.hypers.GreetingOutput[]?
---@field [string] any

---@class campaign.hypers.list_marketing_plans.fields
---@field current integer? page from 0; without it the reply is not paged
---@field size integer?
---@field orderBy string[]? field names; the key is repeated
---@field orderDirection "ASC"|"DESC"|nil one direction for all fields
---@field orderNullHandling "NATIVE"|"NULLS_FIRST"|"NULLS_LAST"|nil
---@field keyWord string? search word
---@field groupIds (string|integer)[]|nil
---@field status "DRAFT"|"EXECUTION"|"TERMINATION"|"COMPLETE"|nil

---@class campaign.hypers.PlanListOutput
---@field id string?
---@field name string?
---@field memberNumber integer?
---@field lastTriggerTime string?
---@field contactSuccessOfPeopl integer?
---@field completeServiceOfPeopl integer?
---@field effectiveCommunicationOfPeopl integer?
---@field invitationSuccessfulOfPeopl integer?
---@field status string?
---@field taskCount integer?
---@field [string] any

---@class campaign.hypers.GroupListOutput
---@field groupId string?
---@field groupName string?
---@field plan campaign.hypers.PlanListOutput[]?
---@field [string] any

---@class campaign.hypers.list_marketing_plans.reply
---@field records campaign.hypers.GroupListOutput[]?
---@field page campaign.hypers.RespPage?
---@field summary any? not documented, given raw
---@field [string] any

---@class campaign.hypers.update_marketing_plan.fields
---@field id string|integer plan id
---@field options "DRAFT"|"RELEASE"
---@field data campaign.hypers.MarketingNoticeData

---@class campaign.hypers.get_marketing_plan.fields
---@field id string|integer plan id

---@class campaign.hypers.delete_marketing_plan.fields
---@field id string|integer plan id

---@class campaign.hypers.create_marketing_task.fields
---@field id string|integer plan id
---@field name string
---@field startTime string|number
---@field fileIds (string|integer)[] ids from upload_file

---@class campaign.hypers.TaskOutput
---@field id string?
---@field createTime string?
---@field lastUpdateTime string?
---@field name string?
---@field status "NOT_STARTED"|"EXECUTION"|"TERMINATING"|"TERMINATION"|"COMPLETE"|"IGNORE"|string|nil
---@field totalMember integer?
---@field startDate string?
---@field startTime string?
---@field [string] any

---@class campaign.hypers.list_marketing_tasks.fields
---@field id string|integer plan id
---@field current integer? page from 0; without it the reply is not paged
---@field size integer?
---@field orderBy string[]? field names; the key is repeated
---@field orderDirection "ASC"|"DESC"|nil one direction for all fields
---@field orderNullHandling "NATIVE"|"NULLS_FIRST"|"NULLS_LAST"|nil
---@field keyWord string? search word

---@class campaign.hypers.AnyRow
---@field [string] any

---@class campaign.hypers.list_marketing_tasks.reply
---@field content campaign.hypers.AnyRow[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.get_marketing_task.fields
---@field taskId string|integer task id

---@class campaign.hypers.get_marketing_task_schema.fields
---@field id string|integer plan id

---@class campaign.hypers.SchemaColumn
---@field label string?
---@field key string?
---@field type "STRING"|"NUMBER"|"DATE"|string|nil
---@field [string] any

---@class campaign.hypers.terminate_marketing_plan.fields
---@field id string|integer plan id

---@class campaign.hypers.enable_marketing_plan.fields
---@field id string|integer plan id

---@class campaign.hypers.get_marketing_plan_report.fields
---@field id string|integer plan id

---@class campaign.hypers.SceneStatistic
---@field id string?
---@field name string?
---@field number integer?
---@field [string] any

---@class campaign.hypers.Report
---@field completeServiceOfPeopl integer?
---@field completeServiceRate number?
---@field contactSuccessOfPeopl integer?
---@field contactSuccessRate number?
---@field effectiveCommunicationOfPeopl integer?
---@field effectiveCommunicationRate number?
---@field invitationSuccessfulOfPeopl integer?
---@field invitationSuccessfulRate number?
---@field plannedNumberOfPeopl integer?
---@field sceneStatistics campaign.hypers.SceneStatistic[]?
---@field [string] any

---@class campaign.hypers.list_marketing_task_members.fields
---@field taskId string|integer task id
---@field current integer? page from 0; without it the reply is not paged
---@field size integer?
---@field orderBy string[]? field names; the key is repeated
---@field orderDirection "ASC"|"DESC"|nil one direction for all fields
---@field orderNullHandling "NATIVE"|"NULLS_FIRST"|"NULLS_LAST"|nil
---@field keyWord string? search word
---@field status "NOT_REACHED"|"IN_SERVICE"|"TERMINATE_SERVICE"|"CUSTOMER_SERVICE_INTERVENES"|"COMPLETE_SERVICE"|"IGNORE"|"TIMEOUT_COMPLETE_SERVICE"|nil
---@field sceneIds (string|integer)[]|nil
---@field moodValue string? mood value, as it is

---@class campaign.hypers.list_marketing_task_members.reply
---@field content campaign.hypers.AnyRow[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.get_marketing_task_report.fields
---@field taskId string|integer task id

---@class campaign.hypers.enable_marketing_task.fields
---@field taskId string|integer task id

---@class campaign.hypers.terminate_marketing_task.fields
---@field taskId string|integer task id

---@class campaign.hypers.list_member_daily_reports.fields
---@field id string|integer member id
---@field startDate string|number|nil first day
---@field endDate string|number|nil last day
---@field keyword string? search word

---@class campaign.hypers.DailyReport
---@field reportDate string?
---@field moodValues string[]?
---@field scenes string[]?
---@field content string?
---@field [string] any

---@class campaign.hypers.list_member_daily_reports.reply
---@field records campaign.hypers.DailyReport[]?
---@field [string] any

---HYPERS: notification tasks and AI service
---@class campaign.client.hypers: campaign.client
---@field image_url fun(self, fields: table|string|number): string?, campaign.error?
local client = {}

---Get an access token and a refresh token with user name and password.
---@param fields campaign.hypers.oauth_obtain_token.fields?
---@param options campaign.options?
---@return campaign.hypers.Token? reply
---@return campaign.error? err
function client:oauth_obtain_token(fields, options) end

---Get a new access token and a new refresh token; the refresh token that was used ends.
---@param fields campaign.hypers.oauth_refresh_token.fields?
---@param options campaign.options?
---@return campaign.hypers.Token? reply
---@return campaign.error? err
function client:oauth_refresh_token(fields, options) end

---Create a one-day notification task with texts and pictures for listed members or for files of members.
---@param fields campaign.hypers.create_notification_task.fields?
---@param options campaign.options?
---@return campaign.hypers.NotificationTask? reply
---@return campaign.error? err
function client:create_notification_task(fields, options) end

---Read one notification task.
---@param fields campaign.hypers.get_notification_task.fields?
---@param options campaign.options?
---@return campaign.hypers.NotificationTask? reply
---@return campaign.error? err
function client:get_notification_task(fields, options) end

---Stop a task that waits or runs.
---@param fields campaign.hypers.terminate_notification_task.fields?
---@param options campaign.options?
---@return campaign.hypers.terminate_notification_task.reply? reply
---@return campaign.error? err
function client:terminate_notification_task(fields, options) end

---List notification tasks of one type.
---@param fields campaign.hypers.list_notification_tasks.fields?
---@param options campaign.options?
---@return campaign.hypers.list_notification_tasks.reply? reply
---@return campaign.error? err
function client:list_notification_tasks(fields, options) end

---List the result of each member of a task.
---@param fields campaign.hypers.list_notification_executions.fields?
---@param options campaign.options?
---@return campaign.hypers.list_notification_executions.reply? reply
---@return campaign.error? err
function client:list_notification_executions(fields, options) end

---Upload a file. Anybody who knows its id can read it.
---@param fields campaign.hypers.upload_file.fields?
---@param options campaign.options?
---@return campaign.hypers.File? reply
---@return campaign.error? err
function client:upload_file(fields, options) end

---Download a file by its id; public.
---@param fields campaign.hypers.download_file.fields?
---@param options campaign.options?
---@return campaign.download? reply
---@return campaign.error? err
function client:download_file(fields, options) end

---List marketing groups.
---@param fields campaign.hypers.list_marketing_groups.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_groups.reply? reply
---@return campaign.error? err
function client:list_marketing_groups(fields, options) end

---Create a marketing group.
---@param fields campaign.hypers.create_marketing_group.fields?
---@param options campaign.options?
---@return campaign.hypers.MarketingNoticeGroupOutput? reply
---@return campaign.error? err
function client:create_marketing_group(fields, options) end

---Delete a marketing group.
---@param fields campaign.hypers.delete_marketing_group.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:delete_marketing_group(fields, options) end

---Rename a marketing group.
---@param fields campaign.hypers.update_marketing_group.fields?
---@param options campaign.options?
---@return campaign.hypers.MarketingNoticeGroupOutput? reply
---@return campaign.error? err
function client:update_marketing_group(fields, options) end

---Read a marketing group.
---@param fields campaign.hypers.get_marketing_group.fields?
---@param options campaign.options?
---@return campaign.hypers.MarketingNoticeGroupOutput? reply
---@return campaign.error? err
function client:get_marketing_group(fields, options) end

---Create a scene of a plan.
---@param fields campaign.hypers.create_marketing_scene.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:create_marketing_scene(fields, options) end

---List scenes.
---@param fields campaign.hypers.list_marketing_scenes.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_scenes.reply? reply
---@return campaign.error? err
function client:list_marketing_scenes(fields, options) end

---Change a scene.
---@param fields campaign.hypers.update_marketing_scene.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:update_marketing_scene(fields, options) end

---Read a scene.
---@param fields campaign.hypers.get_marketing_scene.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:get_marketing_scene(fields, options) end

---Take the external id off a scene.
---@param fields campaign.hypers.unbind_scene_external_id.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:unbind_scene_external_id(fields, options) end

---Create a plan, as draft or released.
---@param fields campaign.hypers.create_marketing_plan.fields?
---@param options campaign.options?
---@return campaign.hypers.PlanOutput? reply
---@return campaign.error? err
function client:create_marketing_plan(fields, options) end

---List plans by group; the rows are groups.
---@param fields campaign.hypers.list_marketing_plans.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_plans.reply? reply
---@return campaign.error? err
function client:list_marketing_plans(fields, options) end

---Change a plan, as draft or released.
---@param fields campaign.hypers.update_marketing_plan.fields?
---@param options campaign.options?
---@return campaign.hypers.PlanOutput? reply
---@return campaign.error? err
function client:update_marketing_plan(fields, options) end

---Read a plan.
---@param fields campaign.hypers.get_marketing_plan.fields?
---@param options campaign.options?
---@return campaign.hypers.PlanOutput? reply
---@return campaign.error? err
function client:get_marketing_plan(fields, options) end

---Delete a plan.
---@param fields campaign.hypers.delete_marketing_plan.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:delete_marketing_plan(fields, options) end

---Download the file that lists members are filled into.
---@param fields table?
---@param options campaign.options?
---@return campaign.download? reply
---@return campaign.error? err
function client:get_marketing_members_template(fields, options) end

---Create a task (a batch of members) under a plan.
---@param fields campaign.hypers.create_marketing_task.fields?
---@param options campaign.options?
---@return campaign.hypers.TaskOutput? reply
---@return campaign.error? err
function client:create_marketing_task(fields, options) end

---List the tasks of a plan; the schema names the columns.
---@param fields campaign.hypers.list_marketing_tasks.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_tasks.reply? reply
---@return campaign.error? err
function client:list_marketing_tasks(fields, options) end

---Read a task.
---@param fields campaign.hypers.get_marketing_task.fields?
---@param options campaign.options?
---@return campaign.hypers.TaskOutput? reply
---@return campaign.error? err
function client:get_marketing_task(fields, options) end

---Read which columns the task rows of a plan have.
---@param fields campaign.hypers.get_marketing_task_schema.fields?
---@param options campaign.options?
---@return campaign.hypers.SchemaColumn[]? reply
---@return campaign.error? err
function client:get_marketing_task_schema(fields, options) end

---Stop a plan and its running tasks.
---@param fields campaign.hypers.terminate_marketing_plan.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:terminate_marketing_plan(fields, options) end

---Start a stopped plan again.
---@param fields campaign.hypers.enable_marketing_plan.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:enable_marketing_plan(fields, options) end

---Read the figures of a plan.
---@param fields campaign.hypers.get_marketing_plan_report.fields?
---@param options campaign.options?
---@return campaign.hypers.Report? reply
---@return campaign.error? err
function client:get_marketing_plan_report(fields, options) end

---List the members of a task.
---@param fields campaign.hypers.list_marketing_task_members.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_task_members.reply? reply
---@return campaign.error? err
function client:list_marketing_task_members(fields, options) end

---Read the figures of a task.
---@param fields campaign.hypers.get_marketing_task_report.fields?
---@param options campaign.options?
---@return campaign.hypers.Report? reply
---@return campaign.error? err
function client:get_marketing_task_report(fields, options) end

---Start a stopped task again.
---@param fields campaign.hypers.enable_marketing_task.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:enable_marketing_task(fields, options) end

---Stop a task.
---@param fields campaign.hypers.terminate_marketing_task.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:terminate_marketing_task(fields, options) end

---List the daily reports of a member.
---@param fields campaign.hypers.list_member_daily_reports.fields?
---@param options campaign.options?
---@return campaign.hypers.list_member_daily_reports.reply? reply
---@return campaign.error? err
function client:list_member_daily_reports(fields, options) end
