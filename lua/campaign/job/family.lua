-- SPDX-License-Identifier: MIT
-- A job and its retries: import/family.lua, for whoever looks after jobs.

return require "campaign.import.family"
