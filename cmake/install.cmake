# SPDX-License-Identifier: MIT
# What is installed: headers, both libraries, and how CMake and pkg-config find them.
# Nothing of it names the prefix, so an installed tree can be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vow)
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH prefix_from_pc /${pc_dir} /)
string(REGEX REPLACE "/$" "" prefix_from_pc ${prefix_from_pc})

configure_file(cmake/vow.pc.in vow.pc @ONLY)
configure_package_config_file(cmake/vow-config.cmake.in vow-config.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(vow-config-version.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS vow vow_shared EXPORT vow-targets
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT vow-targets NAMESPACE vow:: DESTINATION ${package_dir})
install(DIRECTORY include/vow ${PROJECT_BINARY_DIR}/include/vow
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/vow.pc DESTINATION ${pc_dir})
install(FILES
  ${PROJECT_BINARY_DIR}/vow-config.cmake
  ${PROJECT_BINARY_DIR}/vow-config-version.cmake
  DESTINATION ${package_dir})
