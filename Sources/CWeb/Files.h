// Written by scripts/web.py: every file of web/.

static const unsigned char file_0[] = {
#embed "../../web/css/base.css"
};
static const unsigned char file_1[] = {
#embed "../../web/css/forms.css"
};
static const unsigned char file_2[] = {
#embed "../../web/css/layers.css"
};
static const unsigned char file_3[] = {
#embed "../../web/css/pages.css"
};
static const unsigned char file_4[] = {
#embed "../../web/css/parts.css"
};
static const unsigned char file_5[] = {
#embed "../../web/css/shell.css"
};
static const unsigned char file_6[] = {
#embed "../../web/css/tables.css"
};
static const unsigned char file_7[] = {
#embed "../../web/favicon.svg"
};
static const unsigned char file_8[] = {
#embed "../../web/index.html"
};
static const unsigned char file_9[] = {
#embed "../../web/lib/api.js"
};
static const unsigned char file_10[] = {
#embed "../../web/lib/columns.js"
};
static const unsigned char file_11[] = {
#embed "../../web/lib/dom.js"
};
static const unsigned char file_12[] = {
#embed "../../web/lib/fleet.js"
};
static const unsigned char file_13[] = {
#embed "../../web/lib/format.js"
};
static const unsigned char file_14[] = {
#embed "../../web/lib/icons.js"
};
static const unsigned char file_15[] = {
#embed "../../web/lib/keys.js"
};
static const unsigned char file_16[] = {
#embed "../../web/lib/live.js"
};
static const unsigned char file_17[] = {
#embed "../../web/lib/places.js"
};
static const unsigned char file_18[] = {
#embed "../../web/lib/resources.js"
};
static const unsigned char file_19[] = {
#embed "../../web/lib/router.js"
};
static const unsigned char file_20[] = {
#embed "../../web/lib/types.js"
};
static const unsigned char file_21[] = {
#embed "../../web/lib/yaml.js"
};
static const unsigned char file_22[] = {
#embed "../../web/main.js"
};
static const unsigned char file_23[] = {
#embed "../../web/pages/apply.js"
};
static const unsigned char file_24[] = {
#embed "../../web/pages/audit.js"
};
static const unsigned char file_25[] = {
#embed "../../web/pages/certificates.js"
};
static const unsigned char file_26[] = {
#embed "../../web/pages/entities.js"
};
static const unsigned char file_27[] = {
#embed "../../web/pages/entity.js"
};
static const unsigned char file_28[] = {
#embed "../../web/pages/gateway.js"
};
static const unsigned char file_29[] = {
#embed "../../web/pages/gateways.js"
};
static const unsigned char file_30[] = {
#embed "../../web/pages/history.js"
};
static const unsigned char file_31[] = {
#embed "../../web/pages/login.js"
};
static const unsigned char file_32[] = {
#embed "../../web/pages/match.js"
};
static const unsigned char file_33[] = {
#embed "../../web/pages/missing.js"
};
static const unsigned char file_34[] = {
#embed "../../web/pages/overview.js"
};
static const unsigned char file_35[] = {
#embed "../../web/pages/plugin_new.js"
};
static const unsigned char file_36[] = {
#embed "../../web/pages/revision.js"
};
static const unsigned char file_37[] = {
#embed "../../web/pages/rollouts.js"
};
static const unsigned char file_38[] = {
#embed "../../web/pages/tokens.js"
};
static const unsigned char file_39[] = {
#embed "../../web/parts/below.js"
};
static const unsigned char file_40[] = {
#embed "../../web/parts/bits.js"
};
static const unsigned char file_41[] = {
#embed "../../web/parts/chart.js"
};
static const unsigned char file_42[] = {
#embed "../../web/parts/conflict.js"
};
static const unsigned char file_43[] = {
#embed "../../web/parts/copy_as.js"
};
static const unsigned char file_44[] = {
#embed "../../web/parts/diff.js"
};
static const unsigned char file_45[] = {
#embed "../../web/parts/field_frame.js"
};
static const unsigned char file_46[] = {
#embed "../../web/parts/field_many.js"
};
static const unsigned char file_47[] = {
#embed "../../web/parts/field_reference.js"
};
static const unsigned char file_48[] = {
#embed "../../web/parts/field_single.js"
};
static const unsigned char file_49[] = {
#embed "../../web/parts/fields.js"
};
static const unsigned char file_50[] = {
#embed "../../web/parts/form.js"
};
static const unsigned char file_51[] = {
#embed "../../web/parts/keys_help.js"
};
static const unsigned char file_52[] = {
#embed "../../web/parts/layers.js"
};
static const unsigned char file_53[] = {
#embed "../../web/parts/palette.js"
};
static const unsigned char file_54[] = {
#embed "../../web/parts/table.js"
};
static const unsigned char file_55[] = {
#embed "../../web/theme.js"
};

static const struct file files[] = {
    {"css/base.css", file_0, sizeof file_0},
    {"css/forms.css", file_1, sizeof file_1},
    {"css/layers.css", file_2, sizeof file_2},
    {"css/pages.css", file_3, sizeof file_3},
    {"css/parts.css", file_4, sizeof file_4},
    {"css/shell.css", file_5, sizeof file_5},
    {"css/tables.css", file_6, sizeof file_6},
    {"favicon.svg", file_7, sizeof file_7},
    {"index.html", file_8, sizeof file_8},
    {"lib/api.js", file_9, sizeof file_9},
    {"lib/columns.js", file_10, sizeof file_10},
    {"lib/dom.js", file_11, sizeof file_11},
    {"lib/fleet.js", file_12, sizeof file_12},
    {"lib/format.js", file_13, sizeof file_13},
    {"lib/icons.js", file_14, sizeof file_14},
    {"lib/keys.js", file_15, sizeof file_15},
    {"lib/live.js", file_16, sizeof file_16},
    {"lib/places.js", file_17, sizeof file_17},
    {"lib/resources.js", file_18, sizeof file_18},
    {"lib/router.js", file_19, sizeof file_19},
    {"lib/types.js", file_20, sizeof file_20},
    {"lib/yaml.js", file_21, sizeof file_21},
    {"main.js", file_22, sizeof file_22},
    {"pages/apply.js", file_23, sizeof file_23},
    {"pages/audit.js", file_24, sizeof file_24},
    {"pages/certificates.js", file_25, sizeof file_25},
    {"pages/entities.js", file_26, sizeof file_26},
    {"pages/entity.js", file_27, sizeof file_27},
    {"pages/gateway.js", file_28, sizeof file_28},
    {"pages/gateways.js", file_29, sizeof file_29},
    {"pages/history.js", file_30, sizeof file_30},
    {"pages/login.js", file_31, sizeof file_31},
    {"pages/match.js", file_32, sizeof file_32},
    {"pages/missing.js", file_33, sizeof file_33},
    {"pages/overview.js", file_34, sizeof file_34},
    {"pages/plugin_new.js", file_35, sizeof file_35},
    {"pages/revision.js", file_36, sizeof file_36},
    {"pages/rollouts.js", file_37, sizeof file_37},
    {"pages/tokens.js", file_38, sizeof file_38},
    {"parts/below.js", file_39, sizeof file_39},
    {"parts/bits.js", file_40, sizeof file_40},
    {"parts/chart.js", file_41, sizeof file_41},
    {"parts/conflict.js", file_42, sizeof file_42},
    {"parts/copy_as.js", file_43, sizeof file_43},
    {"parts/diff.js", file_44, sizeof file_44},
    {"parts/field_frame.js", file_45, sizeof file_45},
    {"parts/field_many.js", file_46, sizeof file_46},
    {"parts/field_reference.js", file_47, sizeof file_47},
    {"parts/field_single.js", file_48, sizeof file_48},
    {"parts/fields.js", file_49, sizeof file_49},
    {"parts/form.js", file_50, sizeof file_50},
    {"parts/keys_help.js", file_51, sizeof file_51},
    {"parts/layers.js", file_52, sizeof file_52},
    {"parts/palette.js", file_53, sizeof file_53},
    {"parts/table.js", file_54, sizeof file_54},
    {"theme.js", file_55, sizeof file_55},
};
