/* SPDX-License-Identifier: MIT */
/*
 * The names by which a test calls the allocator: t_malloc and so on are malloc and so on, or, in a
 * build that defines only our own names (TIDE_NO_OVERRIDE, as sanitizer builds do), tide_malloc
 * and so on. Define TIDE_TEST_SYSTEM to compile the same test without the library.
 */
#ifndef TIDE_TESTS_ALLOC_NAMES_H
#define TIDE_TESTS_ALLOC_NAMES_H

#ifdef TIDE_NO_OVERRIDE
#include <tidemalloc.h>
#define t_malloc tide_malloc
#define t_calloc tide_calloc
#define t_realloc tide_realloc
#define t_free tide_free
#define t_aligned_alloc tide_aligned_alloc
#define t_memalign tide_memalign
#define t_posix_memalign tide_posix_memalign
#define t_malloc_usable_size tide_malloc_usable_size
#define t_malloc_trim tide_malloc_trim
#define t_free_sized tide_free_sized
#else
#include <malloc.h>
#include <stdlib.h>
#define t_malloc malloc
#define t_calloc calloc
#define t_realloc realloc
#define t_free free
#define t_memalign memalign
#define t_posix_memalign posix_memalign
#define t_malloc_usable_size malloc_usable_size
#define t_malloc_trim malloc_trim
#ifdef TIDE_TEST_SYSTEM
#define t_aligned_alloc memalign /* aligned_alloc of some sanitizers is stricter */
#define t_free_sized(block, size) ((void)(size), free(block))
#else
#include <tidemalloc.h>
#define t_aligned_alloc aligned_alloc
#define t_free_sized tide_free_sized
#endif
#endif

#endif
