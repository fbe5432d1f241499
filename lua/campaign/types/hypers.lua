---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors, written by `campaign describe --format types` from the data of the platform hypers; not loaded when a program runs.
-- Lines in brackets are those of the vendor's document 002_8a0e6103888f92cd.txt.

---@class campaign.hypers.oauth_obtain_token.fields
---@field grant_type string? always password [:13]
---@field username string? login e-mail of the user [:14]
---@field password string? [:15]

---an access token and the refresh token that replaces it [:18]
---@class campaign.hypers.Token
---@field access_token string?
---@field token_type string?
---@field expires_in integer? seconds until the access token ends
---@field refresh_token string?
---@field scope string?
---@field [string] any

---@class campaign.hypers.oauth_refresh_token.fields
---@field grant_type string? always refresh_token [:43]
---@field refresh_token string the newest one received [:44]

---@alias campaign.hypers.notification_type
---| "APPOINTMENT_REMINDER" # appointment reminder (预约提醒)
---| "CUSTOMER_RESOURCE_REMINDER" # customer-lead reminder (客资提醒)

---@alias campaign.hypers.content_type
---| "TEXT" # text, may hold {{variables}}
---| "IMAGE" # image URL

---a text or picture of a notification [:99]
---@class campaign.hypers.Content
---@field contentType campaign.hypers.content_type [:100]
---@field contentValue string text with {{variables}}, or the URL of a picture; at most 1024 characters (UTF-16 units) [:101]

---a member, with one more key for each variable of the contents [:84]
---@class campaign.hypers.Member
---@field userId string? at least one of userId, ciq [:86]
---@field ciq string? at least one of userId, ciq [:87]
---@field nickname string? [:88]
---@field memberId string|integer|nil sent only when given; at least 1 [:104]
---@field [string] any

---@class campaign.hypers.create_notification_task.fields
---@field taskName string at most 120 characters (UTF-16 units); not blank [:95]
---@field taskType campaign.hypers.notification_type [:96]
---@field scheduledStartTime string|number [:97]
---@field scheduledEndTime string|number|nil on the day of the start; 22:00:00 when left out [:98]
---@field contents campaign.hypers.Content[] at least 1 entry [:99]
---@field fileIds (string|integer)[]|nil ids of Excel files with members; exactly one of fileIds, members; each: at least 1 [:102]
---@field members campaign.hypers.Member[]? exactly one of fileIds, members [:103]

---@alias campaign.hypers.notification_status
---| "PENDING" # waiting for its start
---| "EXECUTING" # being executed
---| "COMPLETED" # done, or ended at its end time
---| "TERMINATED" # terminated by a call
---| string

---@class campaign.hypers.NotificationTask.statistics
---@field totalMembers integer?
---@field successCount integer?
---@field [string] any

---the same, read under either pair of names [:130]
---@class campaign.hypers.ContentOutput
---@field contentType campaign.hypers.content_type?
---@field contentValue string?
---@field [string] any

---a member as the platform gives it back
---@class campaign.hypers.MemberOutput
---@field userId string?
---@field ciq string?
---@field nickname string?
---@field memberId string?
---@field [string] any

---a notification task [:107]
---@class campaign.hypers.NotificationTask
---@field id string? task id
---@field createTime string?
---@field lastUpdateTime string?
---@field taskName string?
---@field taskType string?
---@field status campaign.hypers.notification_status?
---@field scheduledStartTime string?
---@field scheduledEndTime string?
---@field totalMembers integer?
---@field statistics campaign.hypers.NotificationTask.statistics? [:126]
---@field contents campaign.hypers.ContentOutput[]?
---@field fileIds string[]?
---@field members campaign.hypers.MemberOutput[]?
---@field [string] any

---@class campaign.hypers.get_notification_task.fields
---@field taskId string|integer task id; at least 1 [:118]

---@class campaign.hypers.terminate_notification_task.fields
---@field taskId string|integer task id; at least 1 [:138]
---@field reason string why; not blank [:140]

---@class campaign.hypers.terminate_notification_task.reply
---@field previousStatus string? [:143]
---@field currentStatus string? [:144]
---@field [string] any

---@alias campaign.hypers.notification_filter
---| "PENDING"
---| "EXECUTING"
---| "COMPLETED"
---| "TERMINATED"

---@class campaign.hypers.list_notification_tasks.fields
---@field taskType campaign.hypers.notification_type [:150]
---@field status campaign.hypers.notification_filter? [:151]
---@field startTime string|number|nil earliest scheduled start; not after endTime [:152]
---@field endTime string|number|nil latest scheduled start [:153]
---@field current integer? page from 0; at least 0 [:154]
---@field size integer? 20 when left out; 1 to 100 [:155]

---paging of a records reply [:1948]
---@class campaign.hypers.RespPage
---@field current integer?
---@field size integer?
---@field total integer?
---@field [string] any

---@class campaign.hypers.list_notification_tasks.reply
---@field page campaign.hypers.RespPage? [:157]
---@field records campaign.hypers.NotificationTask[]? [:162]
---@field [string] any

---@alias campaign.hypers.execution_order
---| "executeTime" # by time of execution
---| "status" # by status

---@alias campaign.hypers.direction
---| "ASC" # ascending
---| "DESC" # descending

---@class campaign.hypers.list_notification_executions.fields
---@field taskId string|integer task id; at least 1 [:178]
---@field current integer? page from 0; at least 0 [:182]
---@field size integer? 20 when left out; 1 to 100 [:183]
---@field orderBy campaign.hypers.execution_order? [:184]
---@field orderDirection campaign.hypers.direction? [:185]

---@alias campaign.hypers.execution_status
---| "SUCCESS" # notified
---| "FAILED" # failed; failureReason says why
---| "PENDING" # not yet tried
---| string

---the result of one member [:194]
---@class campaign.hypers.Execution
---@field memberId string?
---@field memberName string? the member's nickname
---@field status campaign.hypers.execution_status?
---@field status_raw string? as the platform wrote it
---@field executeTime string?
---@field failureReason string?
---@field [string] any

---@class campaign.hypers.list_notification_executions.reply
---@field page campaign.hypers.RespPage? [:187]
---@field task_id string? [:208]
---@field total_members integer? all members, not the page's [:208]
---@field records campaign.hypers.Execution[]? [:192]
---@field [string] any

---@class campaign.hypers.upload_file.fields
---@field file string|campaign.file any type [:215]
---@field moduleName string? business module; 1 to 50 characters; form: letters, digits and underscores; default notification [:216]

---an uploaded file [:222]
---@class campaign.hypers.File
---@field id string?
---@field fileName string?
---@field signature string? SHA-256 of the content
---@field fileSize integer? bytes
---@field createTime integer? epoch milliseconds
---@field [string] any

---@class campaign.hypers.download_file.fields
---@field id string|integer file id; at least 1 [:239]

---@alias campaign.hypers.null_handling
---| "NATIVE" # the data store decides
---| "NULLS_FIRST" # nulls first
---| "NULLS_LAST" # nulls last

---@class campaign.hypers.list_marketing_groups.fields
---@field current integer? page from 0; without it the reply is not paged; at least 0; required if size is given
---@field size integer? at least 1; required if current is given
---@field orderBy string[]? field names; the key is repeated; each: at least 1 character
---@field orderDirection campaign.hypers.direction? one direction for all fields
---@field orderNullHandling campaign.hypers.null_handling?
---@field keyWord string? search word [:255]
---@field ids (string|integer)[]|string|nil group ids; sent as one text, joined by ',', and may be given so; each: at least 1 [:256]

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
---@field name string group name; not blank [:1728]

---@class campaign.hypers.delete_marketing_group.fields
---@field id string|integer group id; at least 1 [:402]

---@class campaign.hypers.update_marketing_group.fields
---@field id string|integer group id; at least 1 [:416]
---@field name string group name; not blank [:1728]

---@class campaign.hypers.get_marketing_group.fields
---@field id string|integer group id; at least 1 [:439]

---@alias campaign.hypers.statistical_method
---| "GRAND_TOTAL" # every trigger counts (inferred)
---| "ONLY" # a member counts once (inferred)

---@class campaign.hypers.create_marketing_scene.fields
---@field name string [:1738]
---@field statisticalMethod campaign.hypers.statistical_method [:1739]
---@field prompt string [:1740]
---@field externalId string? [:1741]
---@field planId string|integer plan it belongs to; at least 1 [:1742]

---@alias campaign.hypers.scene_type
---| "SYSTEM" # given by the platform (inferred)
---| "CUSTOM" # made by a user (inferred)
---| string

---@class campaign.hypers.SceneOutput
---@field id string?
---@field createTime string?
---@field lastUpdateTime string?
---@field name string?
---@field statisticalMethod string?
---@field prompt string?
---@field externalId string?
---@field sceneType campaign.hypers.scene_type?
---@field [string] any

---@class campaign.hypers.list_marketing_scenes.fields
---@field current integer? page from 0; without it the reply is not paged; at least 0; required if size is given
---@field size integer? at least 1; required if current is given
---@field orderBy string[]? field names; the key is repeated; each: at least 1 character
---@field orderDirection campaign.hypers.direction? one direction for all fields
---@field orderNullHandling campaign.hypers.null_handling?
---@field keyWord string? search word [:510]
---@field externalId string? exact match [:511]
---@field planId string|integer|nil at least 1 [:512]

---@class campaign.hypers.list_marketing_scenes.reply
---@field content campaign.hypers.SceneOutput[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.update_marketing_scene.fields
---@field id string|integer scene id; at least 1 [:629]
---@field name string [:1754]
---@field prompt string [:1755]
---@field externalId string? unchanged when left out [:1756]

---@class campaign.hypers.get_marketing_scene.fields
---@field id string|integer scene id; at least 1 [:666]

---@class campaign.hypers.unbind_scene_external_id.fields
---@field id string|integer scene id; at least 1 [:702]

---@alias campaign.hypers.plan_option
---| "DRAFT" # save
---| "RELEASE" # publish

---@alias campaign.hypers.reply_strategy
---| "CONSULTANT_CONTINUE_AFTER_REPLY" # AI goes on after a consultant has replied (inferred)
---| "CONSULTANT_NO_FURTHER_REPLY" # AI is silent after a consultant has replied (inferred)
---| "AI_HOSTING_END_AFTER_REPLY" # AI hosting ends after a reply (inferred)

---@alias campaign.hypers.strategy
---| "AI_SERVICE_END_UNTIL_RESTART" # AI service stops until restarted (inferred)
---| string

---@class campaign.hypers.MonitoringStrategy
---@field sceneId string|integer at least 1
---@field strategy campaign.hypers.strategy[] at least 1 entry; each: at least 1 character

---@alias campaign.hypers.greeting_type
---| "IMAGE" # image
---| "TEXT" # text

---other keys pass through [:1767]
---@class campaign.hypers.Greeting
---@field type campaign.hypers.greeting_type
---@field [string] any

---@class campaign.hypers.MarketingNoticeData
---@field name string [:1824]
---@field groupId string|integer at least 1 [:1825]
---@field description string? [:1826]
---@field startTime string? HH:mm, HH:mm:ss or yyyy-MM-dd HH:mm:ss; form: HH:mm, HH:mm:ss or yyyy-MM-dd HH:mm:ss [:1827]
---@field endTime string? in the same form, after the start; form: HH:mm, HH:mm:ss or yyyy-MM-dd HH:mm:ss [:1828]
---@field replyStrategy campaign.hypers.reply_strategy? [:1829]
---@field replyDelay integer? seconds; at least 0 [:1830]
---@field unifiedReply boolean? [:1831]
---@field segmentSeparator string? [:1832]
---@field minReplyInterval integer? seconds; at least 0 [:1833]
---@field sceneIds (string|integer)[]|nil each: at least 1 [:1834]
---@field monitoringStrategy campaign.hypers.MonitoringStrategy[]? [:1835]
---@field prompt string? [:1836]
---@field backgroundInfo string? [:1837]
---@field timeInfo string? [:1838]
---@field referenceCase string? [:1839]
---@field timeoutWakeUp boolean? [:1840]
---@field timeout integer? minutes; at least 0; required if timeoutWakeUp is true [:1841]
---@field timeoutPrompt string? [:1842]
---@field greetings campaign.hypers.Greeting[]? [:1843]

---@class campaign.hypers.create_marketing_plan.fields
---@field options campaign.hypers.plan_option [:1849]
---@field data campaign.hypers.MarketingNoticeData [:1787]

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

---@alias campaign.hypers.plan_status
---| "DRAFT" # draft (草稿)
---| "EXECUTION" # executing (执行中)
---| "TERMINATION" # terminated (终止)
---| "COMPLETE" # complete (完成)

---@class campaign.hypers.list_marketing_plans.fields
---@field current integer? page from 0; without it the reply is not paged; at least 0; required if size is given
---@field size integer? at least 1; required if current is given
---@field orderBy string[]? field names; the key is repeated; each: at least 1 character
---@field orderDirection campaign.hypers.direction? one direction for all fields
---@field orderNullHandling campaign.hypers.null_handling?
---@field keyWord string? search word [:867]
---@field groupIds (string|integer)[]|string|nil sent as one text, joined by ',', and may be given so; each: at least 1 [:868]
---@field status campaign.hypers.plan_status? [:869]

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
---@field records campaign.hypers.GroupListOutput[]? [:931]
---@field page campaign.hypers.RespPage? [:945]
---@field summary any? not documented, given raw [:949]
---@field [string] any

---@class campaign.hypers.update_marketing_plan.fields
---@field id string|integer plan id; at least 1 [:998]
---@field options campaign.hypers.plan_option [:1849]
---@field data campaign.hypers.MarketingNoticeData [:1787]

---@class campaign.hypers.get_marketing_plan.fields
---@field id string|integer plan id; at least 1 [:1084]

---@class campaign.hypers.delete_marketing_plan.fields
---@field id string|integer plan id; at least 1 [:1169]

---@class campaign.hypers.create_marketing_task.fields
---@field id string|integer plan id; at least 1 [:1194]
---@field name string [:1967]
---@field startTime string|number whole minutes [:1968]
---@field fileIds (string|integer)[] ids from upload_file; at least 1 entry; each: at least 1 [:1969]

---@alias campaign.hypers.task_status
---| "NOT_STARTED" # not started
---| "EXECUTION" # executing
---| "TERMINATING" # being terminated
---| "TERMINATION" # terminated
---| "COMPLETE" # complete
---| "IGNORE" # ignored
---| string

---@class campaign.hypers.TaskOutput
---@field id string?
---@field createTime string?
---@field lastUpdateTime string?
---@field name string?
---@field status campaign.hypers.task_status?
---@field totalMember integer?
---@field startDate string?
---@field startTime string?
---@field [string] any

---@class campaign.hypers.list_marketing_tasks.fields
---@field id string|integer plan id; at least 1 [:1233]
---@field current integer? page from 0; without it the reply is not paged; at least 0; required if size is given
---@field size integer? at least 1; required if current is given
---@field orderBy string[]? field names; the key is repeated; each: at least 1 character
---@field orderDirection campaign.hypers.direction? one direction for all fields
---@field orderNullHandling campaign.hypers.null_handling?
---@field keyWord string? search word [:1239]

---a row without documented fields
---@class campaign.hypers.AnyRow
---@field [string] any

---@class campaign.hypers.list_marketing_tasks.reply
---@field content campaign.hypers.AnyRow[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.get_marketing_task.fields
---@field taskId string|integer task id; at least 1 [:1307]

---@class campaign.hypers.get_marketing_task_schema.fields
---@field id string|integer plan id; at least 1 [:1345]

---@alias campaign.hypers.column_type
---| "STRING" # text
---| "NUMBER" # number
---| "DATE" # date
---| string

---@class campaign.hypers.SchemaColumn
---@field label string?
---@field key string?
---@field type campaign.hypers.column_type?
---@field [string] any

---@class campaign.hypers.terminate_marketing_plan.fields
---@field id string|integer plan id; at least 1 [:1373]

---@class campaign.hypers.enable_marketing_plan.fields
---@field id string|integer plan id; at least 1 [:1383]

---@class campaign.hypers.get_marketing_plan_report.fields
---@field id string|integer plan id; at least 1 [:1393]

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

---@alias campaign.hypers.member_status
---| "NOT_REACHED" # not reached (未触达)
---| "IN_SERVICE" # in service (服务中)
---| "TERMINATE_SERVICE" # service terminated (终止服务)
---| "CUSTOMER_SERVICE_INTERVENES" # human service steps in (客服介入)
---| "COMPLETE_SERVICE" # service complete (完成服务)
---| "IGNORE" # ignored (忽略)
---| "TIMEOUT_COMPLETE_SERVICE" # complete by timeout (超时完成)

---@class campaign.hypers.list_marketing_task_members.fields
---@field taskId string|integer task id; at least 1 [:1436]
---@field current integer? page from 0; without it the reply is not paged; at least 0; required if size is given
---@field size integer? at least 1; required if current is given
---@field orderBy string[]? field names; the key is repeated; each: at least 1 character
---@field orderDirection campaign.hypers.direction? one direction for all fields
---@field orderNullHandling campaign.hypers.null_handling?
---@field keyWord string? search word [:1442]
---@field status campaign.hypers.member_status? [:1443]
---@field sceneIds (string|integer)[]|string|nil sent as one text, joined by ',', and may be given so; each: at least 1 [:1444]
---@field moodValue string? mood value, as it is [:1445]

---@class campaign.hypers.list_marketing_task_members.reply
---@field content campaign.hypers.AnyRow[]?
---@field total integer?
---@field totalElements integer?
---@field [string] any

---@class campaign.hypers.get_marketing_task_report.fields
---@field taskId string|integer task id; at least 1 [:1571]

---@class campaign.hypers.enable_marketing_task.fields
---@field taskId string|integer task id; at least 1 [:1614]

---@class campaign.hypers.terminate_marketing_task.fields
---@field taskId string|integer task id; at least 1 [:1624]

---@class campaign.hypers.list_member_daily_reports.fields
---@field id string|integer member id; at least 1 [:1631]
---@field startDate string|number|nil first day; not after endDate [:1634]
---@field endDate string|number|nil last day [:1635]
---@field keyword string? search word [:1636]

---@class campaign.hypers.DailyReport
---@field reportDate string?
---@field moodValues string[]?
---@field scenes string[]?
---@field content string?
---@field [string] any

---@class campaign.hypers.list_member_daily_reports.reply
---@field records campaign.hypers.DailyReport[]? [:1644]
---@field [string] any

---@alias campaign.hypers.waiter
---| "marketing_plan_released" # until a marketing plan is no draft any more
---| "marketing_task_finished" # until a marketing task is complete; TERMINATING is not yet an end
---| "notification_task_finished" # until a notification task is done; one that a call has terminated is a failure

---HYPERS: notification tasks and AI service
---@class campaign.client.hypers: campaign.client
---@field image_url fun(self, fields: table|string|number): string?, campaign.error?
local client = {}

---Get an access token and a refresh token with user name and password.
---
---`POST /oauth/token`; makes something new [002_8a0e6103888f92cd.txt:5]
---@param fields campaign.hypers.oauth_obtain_token.fields?
---@param options campaign.options?
---@return campaign.hypers.Token? reply
---@return campaign.error? err
function client:oauth_obtain_token(fields, options) end

---Get a new access token and a new refresh token; the refresh token that was used ends.
---
---`POST /oauth/token`; makes something new [002_8a0e6103888f92cd.txt:37]
---@param fields campaign.hypers.oauth_refresh_token.fields?
---@param options campaign.options?
---@return campaign.hypers.Token? reply
---@return campaign.error? err
function client:oauth_refresh_token(fields, options) end

---Create a one-day notification task with texts and pictures for listed members or for files of members.
---
---`POST /api/v1/notification-tasks`; makes something new [002_8a0e6103888f92cd.txt:67]
---@param fields campaign.hypers.create_notification_task.fields?
---@param options campaign.options?
---@return campaign.hypers.NotificationTask? reply
---@return campaign.error? err
function client:create_notification_task(fields, options) end

---Read one notification task.
---
---`GET /api/v1/notification-tasks/{taskId}`; changes nothing [002_8a0e6103888f92cd.txt:118]
---@param fields campaign.hypers.get_notification_task.fields?
---@param options campaign.options?
---@return campaign.hypers.NotificationTask? reply
---@return campaign.error? err
function client:get_notification_task(fields, options) end

---Stop a task that waits or runs.
---
---`PUT /api/v1/notification-tasks/{taskId}/termination`; changes something [002_8a0e6103888f92cd.txt:138]
---@param fields campaign.hypers.terminate_notification_task.fields?
---@param options campaign.options?
---@return campaign.hypers.terminate_notification_task.reply? reply
---@return campaign.error? err
function client:terminate_notification_task(fields, options) end

---List notification tasks of one type.
---
---`GET /api/v1/notification-tasks`; changes nothing [002_8a0e6103888f92cd.txt:147]
---@param fields campaign.hypers.list_notification_tasks.fields?
---@param options campaign.options?
---@return campaign.hypers.list_notification_tasks.reply? reply
---@return campaign.error? err
function client:list_notification_tasks(fields, options) end

---List the result of each member of a task.
---
---`GET /api/v1/notification-tasks/{taskId}/executions`; changes nothing [002_8a0e6103888f92cd.txt:178]
---@param fields campaign.hypers.list_notification_executions.fields?
---@param options campaign.options?
---@return campaign.hypers.list_notification_executions.reply? reply
---@return campaign.error? err
function client:list_notification_executions(fields, options) end

---Upload a file. Anybody who knows its id can read it.
---
---`POST /api/v1/file`; makes something new [002_8a0e6103888f92cd.txt:211]
---@param fields campaign.hypers.upload_file.fields?
---@param options campaign.options?
---@return campaign.hypers.File? reply
---@return campaign.error? err
function client:upload_file(fields, options) end

---Download a file by its id; public.
---
---`GET /api/v1/file/{id}`; changes nothing [002_8a0e6103888f92cd.txt:235]
---@param fields campaign.hypers.download_file.fields?
---@param options campaign.options?
---@return campaign.download? reply
---@return campaign.error? err
function client:download_file(fields, options) end

---List marketing groups.
---
---`GET /api/v1/marketing-notice/group`; changes nothing [002_8a0e6103888f92cd.txt:247]
---@param fields campaign.hypers.list_marketing_groups.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_groups.reply? reply
---@return campaign.error? err
function client:list_marketing_groups(fields, options) end

---Create a marketing group.
---
---`POST /api/v1/marketing-notice/group`; makes something new [002_8a0e6103888f92cd.txt:373]
---@param fields campaign.hypers.create_marketing_group.fields?
---@param options campaign.options?
---@return campaign.hypers.MarketingNoticeGroupOutput? reply
---@return campaign.error? err
function client:create_marketing_group(fields, options) end

---Delete a marketing group.
---
---`DELETE /api/v1/marketing-notice/group/{id}`; removes something [002_8a0e6103888f92cd.txt:399]
---@param fields campaign.hypers.delete_marketing_group.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:delete_marketing_group(fields, options) end

---Rename a marketing group.
---
---`PUT /api/v1/marketing-notice/group/{id}`; changes something [002_8a0e6103888f92cd.txt:409]
---@param fields campaign.hypers.update_marketing_group.fields?
---@param options campaign.options?
---@return campaign.hypers.MarketingNoticeGroupOutput? reply
---@return campaign.error? err
function client:update_marketing_group(fields, options) end

---Read a marketing group.
---
---`GET /api/v1/marketing-notice/group/{id}`; changes nothing [002_8a0e6103888f92cd.txt:436]
---@param fields campaign.hypers.get_marketing_group.fields?
---@param options campaign.options?
---@return campaign.hypers.MarketingNoticeGroupOutput? reply
---@return campaign.error? err
function client:get_marketing_group(fields, options) end

---Create a scene of a plan.
---
---`POST /api/v1/marketing-notice/scene`; makes something new [002_8a0e6103888f92cd.txt:458]
---@param fields campaign.hypers.create_marketing_scene.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:create_marketing_scene(fields, options) end

---List scenes.
---
---`GET /api/v1/marketing-notice/scene`; changes nothing [002_8a0e6103888f92cd.txt:502]
---@param fields campaign.hypers.list_marketing_scenes.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_scenes.reply? reply
---@return campaign.error? err
function client:list_marketing_scenes(fields, options) end

---Change a scene.
---
---`PUT /api/v1/marketing-notice/scene/{id}`; changes something [002_8a0e6103888f92cd.txt:620]
---@param fields campaign.hypers.update_marketing_scene.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:update_marketing_scene(fields, options) end

---Read a scene.
---
---`GET /api/v1/marketing-notice/scene/{id}`; changes nothing [002_8a0e6103888f92cd.txt:663]
---@param fields campaign.hypers.get_marketing_scene.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:get_marketing_scene(fields, options) end

---Take the external id off a scene.
---
---`PATCH /api/v1/marketing-notice/scene/{id}/unbundled-externalId`; changes something [002_8a0e6103888f92cd.txt:699]
---@param fields campaign.hypers.unbind_scene_external_id.fields?
---@param options campaign.options?
---@return campaign.hypers.SceneOutput? reply
---@return campaign.error? err
function client:unbind_scene_external_id(fields, options) end

---Create a plan, as draft or released.
---
---`POST /api/v1/marketing-notice`; makes something new [002_8a0e6103888f92cd.txt:735]
---@param fields campaign.hypers.create_marketing_plan.fields?
---@param options campaign.options?
---@return campaign.hypers.PlanOutput? reply
---@return campaign.error? err
function client:create_marketing_plan(fields, options) end

---List plans by group; the rows are groups.
---
---`GET /api/v1/marketing-notice`; changes nothing [002_8a0e6103888f92cd.txt:859]
---@param fields campaign.hypers.list_marketing_plans.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_plans.reply? reply
---@return campaign.error? err
function client:list_marketing_plans(fields, options) end

---Change a plan, as draft or released.
---
---`PUT /api/v1/marketing-notice/{id}`; changes something [002_8a0e6103888f92cd.txt:956]
---@param fields campaign.hypers.update_marketing_plan.fields?
---@param options campaign.options?
---@return campaign.hypers.PlanOutput? reply
---@return campaign.error? err
function client:update_marketing_plan(fields, options) end

---Read a plan.
---
---`GET /api/v1/marketing-notice/{id}`; changes nothing [002_8a0e6103888f92cd.txt:1081]
---@param fields campaign.hypers.get_marketing_plan.fields?
---@param options campaign.options?
---@return campaign.hypers.PlanOutput? reply
---@return campaign.error? err
function client:get_marketing_plan(fields, options) end

---Delete a plan.
---
---`DELETE /api/v1/marketing-notice/{id}`; removes something [002_8a0e6103888f92cd.txt:1166]
---@param fields campaign.hypers.delete_marketing_plan.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:delete_marketing_plan(fields, options) end

---Download the file that lists members are filled into.
---
---`GET /api/v1/marketing-notice/members/template`; changes nothing [002_8a0e6103888f92cd.txt:1176]
---@param fields table?
---@param options campaign.options?
---@return campaign.download? reply
---@return campaign.error? err
function client:get_marketing_members_template(fields, options) end

---Create a task (a batch of members) under a plan.
---
---`POST /api/v1/marketing-notice/{id}/task`; makes something new [002_8a0e6103888f92cd.txt:1183]
---@param fields campaign.hypers.create_marketing_task.fields?
---@param options campaign.options?
---@return campaign.hypers.TaskOutput? reply
---@return campaign.error? err
function client:create_marketing_task(fields, options) end

---List the tasks of a plan; the schema names the columns.
---
---`GET /api/v1/marketing-notice/{id}/task`; changes nothing [002_8a0e6103888f92cd.txt:1230]
---@param fields campaign.hypers.list_marketing_tasks.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_tasks.reply? reply
---@return campaign.error? err
function client:list_marketing_tasks(fields, options) end

---Read a task.
---
---`GET /api/v1/marketing-notice/task/{taskId}`; changes nothing [002_8a0e6103888f92cd.txt:1304]
---@param fields campaign.hypers.get_marketing_task.fields?
---@param options campaign.options?
---@return campaign.hypers.TaskOutput? reply
---@return campaign.error? err
function client:get_marketing_task(fields, options) end

---Read which columns the task rows of a plan have.
---
---`GET /api/v1/marketing-notice/{id}/task/schema`; changes nothing [002_8a0e6103888f92cd.txt:1342]
---@param fields campaign.hypers.get_marketing_task_schema.fields?
---@param options campaign.options?
---@return campaign.hypers.SchemaColumn[]? reply
---@return campaign.error? err
function client:get_marketing_task_schema(fields, options) end

---Stop a plan and its running tasks.
---
---`PATCH /api/v1/marketing-notice/{id}/termination`; changes something [002_8a0e6103888f92cd.txt:1370]
---@param fields campaign.hypers.terminate_marketing_plan.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:terminate_marketing_plan(fields, options) end

---Start a stopped plan again.
---
---`PATCH /api/v1/marketing-notice/{id}/enable`; changes something [002_8a0e6103888f92cd.txt:1380]
---@param fields campaign.hypers.enable_marketing_plan.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:enable_marketing_plan(fields, options) end

---Read the figures of a plan.
---
---`GET /api/v1/marketing-notice/{id}/report`; changes nothing [002_8a0e6103888f92cd.txt:1390]
---@param fields campaign.hypers.get_marketing_plan_report.fields?
---@param options campaign.options?
---@return campaign.hypers.Report? reply
---@return campaign.error? err
function client:get_marketing_plan_report(fields, options) end

---List the members of a task.
---
---`GET /api/v1/marketing-notice/task/{taskId}/members`; changes nothing [002_8a0e6103888f92cd.txt:1433]
---@param fields campaign.hypers.list_marketing_task_members.fields?
---@param options campaign.options?
---@return campaign.hypers.list_marketing_task_members.reply? reply
---@return campaign.error? err
function client:list_marketing_task_members(fields, options) end

---Read the figures of a task.
---
---`GET /api/v1/marketing-notice/task/{taskId}/report`; changes nothing [002_8a0e6103888f92cd.txt:1568]
---@param fields campaign.hypers.get_marketing_task_report.fields?
---@param options campaign.options?
---@return campaign.hypers.Report? reply
---@return campaign.error? err
function client:get_marketing_task_report(fields, options) end

---Start a stopped task again.
---
---`PATCH /api/v1/marketing-notice/task/{taskId}/enable`; changes something [002_8a0e6103888f92cd.txt:1611]
---@param fields campaign.hypers.enable_marketing_task.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:enable_marketing_task(fields, options) end

---Stop a task.
---
---`PATCH /api/v1/marketing-notice/task/{taskId}/termination`; changes something [002_8a0e6103888f92cd.txt:1621]
---@param fields campaign.hypers.terminate_marketing_task.fields?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:terminate_marketing_task(fields, options) end

---List the daily reports of a member.
---
---`GET /api/v1/members/{id}/daily-reports`; changes nothing [002_8a0e6103888f92cd.txt:1631]
---@param fields campaign.hypers.list_member_daily_reports.fields?
---@param options campaign.options?
---@return campaign.hypers.list_member_daily_reports.reply? reply
---@return campaign.error? err
function client:list_member_daily_reports(fields, options) end

---@param name campaign.hypers.waiter
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return table? found
---@return campaign.error? err
function client:wait(name, fields, options) end

---@param name campaign.hypers.waiter
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return campaign.waiter? waiter
---@return campaign.error? err
function client:waiter(name, fields, options) end
