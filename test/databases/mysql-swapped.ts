const PARTED = 'PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (5), PARTITION high VALUES LESS THAN (100))'
// What may be done to a table `t` of these rows and partitions: of all this the server itself says nothing.
export const SILENT = [
  ['gave its name to another', '(1), (2)', '', 'RENAME TABLE t TO gone, other TO t'],
  ['lost a partition', '(1), (2)', PARTED, 'ALTER TABLE t DROP PARTITION low'],
  [
    'gave a partition away for one without rows',
    '(1), (2), (50)',
    PARTED,
    'ALTER TABLE t EXCHANGE PARTITION low WITH TABLE bare',
  ],
  ['gave a partition away for other rows', '(1), (2), (50)', PARTED, 'ALTER TABLE t EXCHANGE PARTITION low WITH TABLE u'],
  ['got rows from elsewhere', '(50)', PARTED, 'ALTER TABLE t EXCHANGE PARTITION low WITH TABLE u'],
  // What a server does, too, that has forgotten since when the table is as it is: MariaDB, of one that was emptied, when it has many.
  ['looks empty', '(1), (2)', PARTED, 'ALTER TABLE t EXCHANGE PARTITION low WITH TABLE bare'],
] as const
