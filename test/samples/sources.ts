/** Public sample databases that nobody here wrote: where each comes from, at which commit, and what each file must be (SHA-256). */
export const SOURCES = {
  pagila: {
    folder: 'pagila',
    repository: 'devrimgunduz/pagila',
    commit: 'e0e35a666f31a786b9d3c06cb83799fc46db25d4',
    files: {
      'pagila-schema.sql': '8ce358e4c8014087b85296694a0893887bd7a4190e3ce407f2721b86b98e5707',
      'pagila-data.sql': '880580fb2cd4daaa99f290ced264988cdd657b3158be63cd281466f796f6dbf2',
    },
  },
  'sakila-postgres': {
    folder: 'sakila',
    repository: 'jOOQ/sakila',
    commit: 'e089a5b1ec9af0df7a9c6a5d47d49fa1736a4e84',
    files: {
      'postgres-sakila-db/postgres-sakila-schema.sql': 'eaa8cfc2fd358e70617d31ed3638196982944749929f02e90b980457855bfa48',
      'postgres-sakila-db/postgres-sakila-insert-data-using-copy.sql':
        '072e793e9f4f2686b46de8904e1e5ca90c02cbc1873d69ed15401aef610ab52b',
    },
  },
  'sakila-mysql': {
    folder: 'test_db',
    repository: 'datacharmer/test_db',
    commit: '3c7fa05e04b4c339d91a43b7029a210212d48e6c',
    files: {
      'sakila/sakila-mv-schema.sql': '61c30abd47a0126e9e901a911b8a115e1920f0910ce1b11ff3abc764ad65df53',
      'sakila/sakila-mv-data.sql': 'cf9328c055ed43c6862332438670fdad68c6236d051fa090c6bcb56cf5895bc2',
    },
  },
  'chinook-postgres': {
    folder: 'chinook',
    repository: 'lerocha/chinook-database',
    commit: '7f67772503d71ba90f19283c38e93923addb43fa',
    files: {
      'ChinookDatabase/DataSources/Chinook_PostgreSql.sql': 'e3fde5c1a5b51a2a91429a702c9ca6e69ba56e6c7f5e112724d70c3d03db695e',
    },
  },
  'chinook-mysql': {
    folder: 'chinook',
    repository: 'lerocha/chinook-database',
    commit: '7f67772503d71ba90f19283c38e93923addb43fa',
    files: {
      'ChinookDatabase/DataSources/Chinook_MySql.sql': '68768623bac1fe6f92c317235735c706a54a28cc76ab175c194e99f994dadbd6',
    },
  },
  'northwind-postgres': {
    folder: 'northwind_psql',
    repository: 'pthom/northwind_psql',
    commit: 'cd0ef28d66369fbe177778e604e4be0f153c9e5c',
    files: { 'northwind.sql': '0ee30c01ba282f7194f38bf7f99cd6be0470b7ee5f67d0f7ca41fb058d735e0c' },
  },
  'northwind-mssql': {
    folder: 'northwind',
    repository: 'microsoft/sql-server-samples',
    commit: '481085dc95720244a359f1311afd6003e0bcc09c',
    files: {
      'samples/databases/northwind-pubs/instnwnd.sql': '3cc62b3fca6d244a47dbde698b809331e4f85988a0685b2b370717d431e94871',
    },
  },
  'pubs-mssql': {
    folder: 'northwind',
    repository: 'microsoft/sql-server-samples',
    commit: '481085dc95720244a359f1311afd6003e0bcc09c',
    files: {
      'samples/databases/northwind-pubs/instpubs.sql': '8dee7594afc00304c7697b860b7a6008047d3d3cf99dee50ff9cb5c75b1f423a',
    },
  },
  'chinook-mssql': {
    folder: 'chinook',
    repository: 'lerocha/chinook-database',
    commit: '7f67772503d71ba90f19283c38e93923addb43fa',
    files: {
      'ChinookDatabase/DataSources/Chinook_SqlServer.sql': '5ea75c9e925ead917d3fabea6ed3cc8c1ff1d036b61e915c94631aafa2b0802b',
    },
  },
  'sakila-mssql': {
    folder: 'sakila',
    repository: 'jOOQ/sakila',
    commit: 'e089a5b1ec9af0df7a9c6a5d47d49fa1736a4e84',
    files: {
      'sql-server-sakila-db/sql-server-sakila-schema.sql': '994d6f2c71aa7c25a7d661ba59c1d8125fac7fe112724231bfebd1fa4ea7e03b',
      'postgres-sakila-db/postgres-sakila-insert-data-using-copy.sql':
        '072e793e9f4f2686b46de8904e1e5ca90c02cbc1873d69ed15401aef610ab52b',
    },
  },
  // Shops, and what bills for them.
  'thirtybees-mysql': {
    folder: 'thirtybees',
    repository: 'thirtybees/thirtybees',
    commit: 'ded9c71814af4d63e325b459f1788c59f56deea1',
    files: {
      'tests/golden_files/db_schema.sql': '764190a919b5b0abb7f1066502eff142f5e23d8fca6f5c9139227873d50f2d17',
    },
  },
  'shopware-mysql': {
    folder: 'shopware5',
    repository: 'shopware5/shopware',
    commit: '8282f117fae495b426c011ec0c676528a4087fdc',
    files: {
      '_sql/install/latest.sql': '55ace33ed358fac322e978e5bd839f262673a081b9b8f22855e2efe4bb77a9d2',
    },
  },
  'zencart-mysql': {
    folder: 'zencart',
    repository: 'zencart/zencart',
    commit: '0306c470b6e10cecc86489226951ff9534a6b773',
    files: {
      'zc_install/sql/install/mysql_zencart.sql': '7f2d79888dda66e626b33e607fc6a2d0a66b7db61d972fc64f7c101997aebe52',
      'zc_install/sql/install/mysql_utf8.sql': '42009c5a2e929f37c1de112e18a861b8aa6cc0c2e2526b5f5683901657e15c7c',
      'zc_install/sql/demo/mysql_demo.sql': '5a9648478a14d54a4362fbf6ff5db9c4c7317fd24b09a1a1760720bd080c726e',
    },
  },
  'lago-postgres': {
    folder: 'lago-api',
    repository: 'getlago/lago-api',
    commit: '1b1c24a6a6c321d7900b05906bf1b20f706c97c2',
    files: {
      'db/structure.sql': 'fb01cd6db17292846ca604807962524f19894a56f9d4013be7a65d36a8ab4317',
    },
  },
  'killbill-postgres': {
    folder: 'killbill',
    repository: 'killbill/killbill',
    commit: 'cb60779c171391be558cd7aebb1eafea60ad2b82',
    files: {
      'util/src/main/resources/org/killbill/billing/util/ddl-postgresql.sql':
        'c3b28e402952762b04e5b15703108ffcd631552746cc12137891379965ae45e8',
      'account/src/main/resources/org/killbill/billing/account/ddl.sql':
        'c51cff47fceaa5c4136185022c8ffb07511017c148f9dfd85e480021940289a7',
      'beatrix/src/main/resources/org/killbill/billing/beatrix/ddl.sql':
        'fb0ef2bf657b69d0556f48b3d9ac67d330fe6e5f337b42f655b8ec3968fecee5',
      'catalog/src/main/resources/org/killbill/billing/catalog/ddl.sql':
        'ba39a2e533646a60faf902410145466a14ab77da62813cbda64a686a5d6bd2c7',
      'entitlement/src/main/resources/org/killbill/billing/entitlement/ddl.sql':
        '4abd91bfb73866ed6e04f695b1a8223520bc49f0302fba1b67dbe8c570f62414',
      'invoice/src/main/resources/org/killbill/billing/invoice/ddl.sql':
        '63172cb5a40adc5868e9816a6d2f398b142d028840151cf656c46e25cdd73e4f',
      'payment/src/main/resources/org/killbill/billing/payment/ddl.sql':
        'ccdcc6cf30e826ef011a8306d777bcf9a4da33b71a617880c36b600b74d3cb26',
      'subscription/src/main/resources/org/killbill/billing/subscription/ddl.sql':
        '799b15b132dd9a8c070315e3326d6fde01bef01871e5a68ad03859e806dea301',
      'tenant/src/main/resources/org/killbill/billing/tenant/ddl.sql':
        '7acaaedfbde5ed0d9f0b048d2a23dbd2bd5fcdbd7e2b7967edc02cb51724fae2',
      'usage/src/main/resources/org/killbill/billing/usage/ddl.sql':
        'ee9c308991d3ffd8aaef7c62a741f1a2cc858fc26f248fc9b7639a1199f82226',
      'util/src/main/resources/org/killbill/billing/util/ddl.sql':
        '7606b19ed74cd2b539f0db963b865d5b123011960b303489a0dd27c012c8fce9',
    },
  },
  'kartris-mssql': {
    folder: 'kartris',
    repository: 'cactusoft/kartris',
    commit: '19061005ca3592f27617eae153f6bd35d568d90c',
    files: {
      'Uploads/Resources/kartrisSQL_MainData.sql': 'd7531f8a15dd1c49569319ddcf5c211800e8b316e6579f5b80c1945cf4b9a92c',
      'Uploads/Resources/kartrisSQL_SampleData.sql': '7f0700de7d61f02aff5165cc6f08e762b8f20063eac3387451796dbe55bf63fe',
    },
  },
  'nopcommerce-mssql': {
    folder: 'nopcommerce',
    repository: 'netmatrix01/Innocent',
    commit: '618cd59d92fa0e2c49180505dd8097ecd3d24a99',
    files: {
      'NopCommerceStore/Install/Scripts/nopCommerce_createDatabase.sql':
        '9d4e3083d579622288c4f8b20dbe1d1496baab99c8181caf1d816c3fac635679',
      'NopCommerceStore/Install/Scripts/nopCommerce_createData.sql':
        'f067213285c84f99f3ffd64f8e0974c24d9370c09cc011be5644183094438ff0',
    },
  },
} as const
