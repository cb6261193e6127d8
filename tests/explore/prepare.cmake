# SPDX-License-Identifier: MIT
# Makes one object of the code under test, gives its libc calls to the model, its data
# a section that can be put back, and checks that nothing else leaves it.
#   cmake -DSYMBOLS=symbols.map -DOUT=under_test.o -DLD= -DNM= -DOBJCOPY= -P prepare.cmake -- OBJECTS
set(objects "")
set(seen FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(seen)
    list(APPEND objects "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(seen TRUE)
  endif()
endforeach()

set(renames "")
set(allowed "^$")
file(STRINGS "${SYMBOLS}" lines REGEX "^[^#]")
foreach(line IN LISTS lines)
  if(line MATCHES "^([^ ]+) ([^ ]+)$")
    string(APPEND renames "${line}\n")
    string(APPEND allowed "|^${CMAKE_MATCH_2}$")
  else()
    string(REPLACE "*" ".*" line "${line}")
    string(APPEND allowed "|^${line}$")
  endif()
endforeach()
file(WRITE "${OUT}.renames" "${renames}")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "failed: ${ARGN}")
  endif()
endfunction()
run("${LD}" -r -o "${OUT}" ${objects})
run("${OBJCOPY}" "--redefine-syms=${OUT}.renames"
  --rename-section .data=explored_data "${OUT}")

execute_process(COMMAND "${NM}" -u "${OUT}" OUTPUT_VARIABLE undefined)
string(REGEX REPLACE " *[Uw] " "" undefined "${undefined}")
string(REPLACE "\n" ";" undefined "${undefined}")
foreach(symbol IN LISTS undefined)
  if(NOT symbol MATCHES "${allowed}")
    message(SEND_ERROR "the code under test calls ${symbol}, which the model does not know")
  endif()
endforeach()
execute_process(COMMAND "${OBJCOPY}" --dump-section .bss=/dev/null "${OUT}" "${OUT}.none"
  RESULT_VARIABLE no_bss OUTPUT_QUIET ERROR_QUIET)
