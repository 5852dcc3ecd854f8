/** What an ordinary column is, beside its name and type: it may be empty, and nothing is special about it. */
export const ORDINARY = {
  nullable: true,
  collation: null,
  default: null,
  computed: null,
  identity: null,
  rowversion: false,
} as const
