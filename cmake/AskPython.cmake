# ask_python(VAR CODE): sets VAR to what CODE prints; empty if Python cannot answer.
if(PAIR_CACE_PYTHON_MODULE)
  find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python COMPONENTS Interpreter)    # only to find what is not given by hand
endif()

function(ask_python variable code)
  if(NOT Python_EXECUTABLE)
    set(${variable} "" PARENT_SCOPE)
    return()
  endif()
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "${code}"
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE
    ERROR_QUIET RESULT_VARIABLE failed)
  if(failed)
    set(answer "")
  endif()
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()

# folder_of_package(VAR NAME): the folder of an installed Python package, without importing it.
function(folder_of_package variable name)
  ask_python(answer "import importlib.util as u; print(u.find_spec('${name}').submodule_search_locations[0])")
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()
