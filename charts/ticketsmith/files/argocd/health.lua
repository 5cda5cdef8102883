-- Health of a PruningExperiment for Argo CD, from its status alone; the status follows kstatus.
-- Needs no library of Lua beyond the base one, which is all that Argo CD gives by default.
local of_phase = {
  Pending = "Progressing",
  Running = "Progressing",
  Suspended = "Suspended",
  Succeeded = "Healthy",
  Failed = "Degraded",
}

local status = obj.status
if type(status) ~= "table" or of_phase[status.phase or ""] == nil then
  return { status = "Progressing", message = "Waiting for the operator to take it up" }
end
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to see the latest change" }
end

local health = { status = of_phase[status.phase] }
if type(status.message) == "string" then
  health.message = status.message
else
  health.message = status.phase
end

-- A spec that became wrong: what runs goes on, but nothing comes of the change.
if type(status.conditions) == "table" then
  for _, condition in ipairs(status.conditions) do
    if type(condition) == "table" and condition.type == "Accepted" and condition.status == "False" then
      health.status = "Degraded"
    end
  end
end
return health
