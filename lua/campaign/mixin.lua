-- SPDX-License-Identifier: MIT
-- For classes whose methods are spread over several modules.

---Adds the methods of other modules to a class. No two modules may have a method of the same name.
---@param methods table of the class
---@param ... table methods of a module
return function(methods, ...)
  for _, module in ipairs({ ... }) do
    for name, method in pairs(module) do
      assert(methods[name] == nil, name)
      methods[name] = method
    end
  end
end
