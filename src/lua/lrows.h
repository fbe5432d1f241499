/* SPDX-License-Identifier: MIT
 * Shared by the binding files of rows. */
#ifndef CAMP_LROWS_H
#define CAMP_LROWS_H

#include "../encoder.h"
#include "../input.h"
#include "../preflight.h"
#include "../rows.h"
#include "bind.h"

#define CAMP_INPUT_CLASS "campaign.rows.input"
#define CAMP_ENCODER_CLASS "campaign.rows.encoder"
#define CAMP_KEY_LIST_CLASS "campaign.rows.key_list"

struct lua_encoder {
  struct camp_encoder *encoder;
  struct camp_map *map; /* while the encoder is being created */
  struct camp_rows_scratch scratch;
  int has_scratch;
};

/* Raise if the value is not such an object, or closed. */
struct camp_input *camp_check_input(lua_State *L, int index);
struct lua_encoder *camp_check_encoder(lua_State *L, int index);
struct camp_key_list *camp_check_key_list(lua_State *L, int index);
/* Reads a batch from its table, for encoder:source and preflight's range. *skip is NULL if the table has none. */
void camp_check_batch(lua_State *L, int index, struct camp_batch *batch, const char **skip);
/* core.rows.input{...}, .input_later{...} */
int camp_rows_input(lua_State *L);
int camp_rows_input_later(lua_State *L);
/* core.rows.encoder{...} */
int camp_rows_encoder(lua_State *L);
/* core.rows.key_list(input, {...}), .row_keys(secret), .key_form(name, text) */
int camp_rows_key_list(lua_State *L);
int camp_rows_row_keys(lua_State *L);
int camp_rows_key_form(lua_State *L);
/* core.rows.preflight(input, encoder, {...}) */
int camp_rows_preflight(lua_State *L);
/* core.rows.rewrite(input, {...}) */
int camp_rows_rewrite(lua_State *L);
/* Pushes the record's fields as a list. */
void camp_push_fields(lua_State *L, const struct camp_record *record);
/* Register the classes; called once. */
void camp_register_encoder(lua_State *L);
void camp_register_input(lua_State *L);
void camp_register_key_list(lua_State *L);
void camp_register_preflight(lua_State *L);
void camp_register_rewrite(lua_State *L);

#endif
