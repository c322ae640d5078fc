// JDBC: SCRAM, statements that the driver prepares on the server after a few runs, batches, types, cursors, COPY,
// errors, and what DatabaseMetaData tells of tables and keys.

import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.util.PGobject;

public class WithJdbc {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", args[1]);
        properties.setProperty("password", args[2]);
        try (Connection connection = DriverManager.getConnection(args[0], properties)) {
            types(connection);
            enumerations(connection);
            prepared(connection);
            batches(connection, args[0], properties);
            transactions(connection);
            copies(connection);
            metadata(connection.getMetaData());
            System.out.println("JDBC driver " + connection.getMetaData().getDriverVersion());
        }
        properties.setProperty("password", "wrong");
        fails("28P01", () -> DriverManager.getConnection(args[0], properties));
    }

    static void types(Connection connection) throws Exception {
        execute(connection, "CREATE TABLE kinds (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bool, s smallint, "
            + "l bigint, r real, f float8, n numeric(10,2), t text, c char(3), d date, m time, ts timestamp, "
            + "tz timestamptz, u uuid, j jsonb, y bytea, a int[], w text[])");
        OffsetDateTime moment = OffsetDateTime.of(2024, 1, 2, 3, 4, 5, 678_000, ZoneOffset.UTC);
        UUID uuid = new UUID(7, 8);
        PGobject json = new PGobject();
        json.setType("jsonb");
        json.setValue("{\"a\": [1, null]}");
        String sql = "INSERT INTO kinds (b, s, l, r, f, n, t, c, d, m, ts, tz, u, j, y, a, w) "
            + "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        try (PreparedStatement insert = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
            for (int round = 1; round <= 8; round++) {
                Object[] values = {true, (short) 7, 1L << 40, 1.5f, -2.25, new BigDecimal("12.30"), "grün", "x",
                    LocalDate.of(2024, 2, 29), LocalTime.of(1, 2, 3), LocalDateTime.of(2024, 1, 2, 3, 4, 5), moment,
                    uuid, json, new byte[] {0, (byte) 255}, connection.createArrayOf("int4", new Integer[] {1, null}),
                    connection.createArrayOf("text", new String[] {"a b", "\"c\""})};
                for (int index = 0; index < values.length; index++) {
                    insert.setObject(index + 1, values[index]);
                }
                equal(insert.executeUpdate(), 1);
                try (ResultSet keys = insert.getGeneratedKeys()) {
                    check(keys.next(), "no generated key");
                    equal(keys.getInt("id"), round);
                }
            }
        }
        // In text at first, in binary once the statement is prepared on the server.
        try (PreparedStatement select = connection.prepareStatement("SELECT * FROM kinds WHERE id = ?")) {
            for (int round = 1; round <= 8; round++) {
                select.setInt(1, round);
                try (ResultSet row = select.executeQuery()) {
                    check(row.next(), "no row");
                    equal(row.getBoolean("b"), true);
                    equal(row.getShort("s"), (short) 7);
                    equal(row.getLong("l"), 1L << 40);
                    equal(row.getFloat("r"), 1.5f);
                    equal(row.getDouble("f"), -2.25);
                    equal(row.getBigDecimal("n"), new BigDecimal("12.30"));
                    equal(row.getString("t"), "grün");
                    equal(row.getString("c"), "x  ");
                    equal(row.getObject("d", LocalDate.class), LocalDate.of(2024, 2, 29));
                    equal(row.getObject("m", LocalTime.class), LocalTime.of(1, 2, 3));
                    equal(row.getObject("ts", LocalDateTime.class), LocalDateTime.of(2024, 1, 2, 3, 4, 5));
                    equal(row.getObject("tz", OffsetDateTime.class).toInstant(), moment.toInstant());
                    equal(row.getObject("u"), uuid);
                    equal(row.getString("j"), "{\"a\": [1, null]}");
                    equal(Arrays.toString(row.getBytes("y")), "[0, -1]");
                    equal(Arrays.toString((Object[]) row.getArray("a").getArray()), "[1, null]");
                    equal(Arrays.toString((Object[]) row.getArray("w").getArray()), "[a b, \"c\"]");
                }
            }
            equal(((PGStatement) select.unwrap(PGStatement.class)).isUseServerPrepare(), true);
        }
        try (PreparedStatement select = connection.prepareStatement("SELECT count(*) FROM kinds WHERE id = ANY (?)")) {
            Array wanted = connection.createArrayOf("int4", new Integer[] {2, 3, 99});
            select.setArray(1, wanted);
            equal(one(select), "2");
        }
        try (PreparedStatement none = connection.prepareStatement("SELECT ?::int, ?::text")) {
            none.setNull(1, Types.INTEGER);
            none.setNull(2, Types.VARCHAR);
            equal(one(none), null);
        }
    }

    static void enumerations(Connection connection) throws Exception {
        execute(connection, "CREATE TYPE mood AS ENUM ('sad', 'ok')");
        execute(connection, "CREATE TABLE felt (m mood)");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO felt VALUES (?)")) {
            for (int round = 0; round < 8; round++) {
                insert.setObject(1, round % 2 == 0 ? "ok" : "sad", Types.OTHER);
                insert.executeUpdate();
            }
            insert.setObject(1, "glad", Types.OTHER);
            fails("22P02", insert::executeUpdate);
        }
        equal(one(connection, "SELECT m FROM felt ORDER BY m LIMIT 1"), "sad");
        equal(rows(connection.getMetaData().getColumns(null, null, "felt", "m"), "DATA_TYPE", "TYPE_NAME"),
            List.of("12 mood"));
    }

    static void prepared(Connection connection) throws Exception {
        execute(connection, "CREATE TABLE hits (n int PRIMARY KEY, t text)");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO hits VALUES (?, ?)")) {
            for (int n = 0; n < 20; n++) {
                insert.setInt(1, n);
                insert.setString(2, "t" + n);
                insert.executeUpdate();
            }
        }
        try (PreparedStatement select = connection.prepareStatement("SELECT t FROM hits WHERE n = ?")) {
            for (int n = 0; n < 20; n++) {
                select.setInt(1, n);
                equal(one(select), "t" + n);
            }
            // A change of the table's definition that leaves the result's columns alone leaves the statement alone.
            execute(connection, "ALTER TABLE hits ADD COLUMN more int");
            select.setInt(1, 5);
            equal(one(select), "t5");
        }
    }

    static void batches(Connection connection, String url, Properties properties) throws Exception {
        execute(connection, "CREATE TABLE lines (n int PRIMARY KEY, t text)");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO lines VALUES (?, ?)")) {
            for (int n = 0; n < 500; n++) {
                insert.setInt(1, n);
                insert.setString(2, "line " + n);
                insert.addBatch();
            }
            equal(Arrays.stream(insert.executeBatch()).sum(), 500);
            insert.setInt(1, 1000);
            insert.setString(2, "new");
            insert.addBatch();
            insert.setInt(1, 7);
            insert.addBatch();
            insert.executeBatch();
            throw new AssertionError("a duplicate key went in");
        } catch (BatchUpdateException error) {
            equal(error.getSQLState(), "23505");
        }
        // The driver writes such a batch as INSERTs of many rows.
        Properties rewriting = new Properties(properties);
        rewriting.setProperty("user", properties.getProperty("user"));
        rewriting.setProperty("password", properties.getProperty("password"));
        rewriting.setProperty("reWriteBatchedInserts", "true");
        try (Connection other = DriverManager.getConnection(url, rewriting);
                PreparedStatement insert = other.prepareStatement("INSERT INTO lines VALUES (?, ?)")) {
            for (int n = 2000; n < 2300; n++) {
                insert.setInt(1, n);
                insert.setString(2, "line " + n);
                insert.addBatch();
            }
            insert.executeBatch();
        }
        try (Statement mixed = connection.createStatement()) {
            mixed.addBatch("UPDATE lines SET t = 'x' WHERE n < 10");
            mixed.addBatch("DELETE FROM lines WHERE n >= 2290");
            equal(Arrays.toString(mixed.executeBatch()), "[10, 10]");
        }
        equal(one(connection, "SELECT count(*) FROM lines"), "790");
    }

    static void transactions(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        // With a fetch size, rows come in parts through a portal.
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(50);
            int count = 0;
            try (ResultSet rows = statement.executeQuery("SELECT n FROM lines ORDER BY n")) {
                while (rows.next()) {
                    count++;
                }
            }
            equal(count, 790);
        }
        connection.commit();
        execute(connection, "UPDATE lines SET t = 'kept' WHERE n = 1");
        Savepoint savepoint = connection.setSavepoint("before");
        fails("22012", () -> execute(connection, "SELECT 1 / 0"));
        fails("25P02", () -> execute(connection, "SELECT 1"));
        connection.rollback(savepoint);
        execute(connection, "UPDATE lines SET t = 'lost' WHERE n = 2");
        connection.rollback(savepoint);
        connection.commit();
        connection.setAutoCommit(true);
        equal(one(connection, "SELECT t FROM lines WHERE n = 1"), "kept");
        equal(one(connection, "SELECT t FROM lines WHERE n = 2"), "x");
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        fails("25006", () -> execute(connection, "DELETE FROM lines"));
        connection.rollback();
        connection.setReadOnly(false);
        connection.setAutoCommit(true);
        try (Statement slow = connection.createStatement()) {
            slow.setQueryTimeout(1);
            fails("57014", () -> slow.execute("SELECT count(*) FROM generate_series(1, 100000) a(x), "
                + "generate_series(1, 100000) b(y) WHERE x + y < 0"));
        }
        check(connection.isValid(5), "the connection is lost");
    }

    static void copies(Connection connection) throws Exception {
        var manager = connection.unwrap(PGConnection.class).getCopyAPI();
        equal(manager.copyIn("COPY hits (n, t) FROM STDIN", new StringReader("100\ta\n101\t\\N\n")), 2L);
        var out = new java.io.StringWriter();
        manager.copyOut("COPY (SELECT n, t FROM hits WHERE n >= 100 ORDER BY n) TO STDOUT WITH CSV", out);
        equal(out.toString(), "100,a\n101,\n");
    }

    static void metadata(DatabaseMetaData data) throws Exception {
        try (Statement statement = data.getConnection().createStatement()) {
            statement.execute("CREATE TABLE author (id bigserial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE, "
                + "rating numeric(4,1) DEFAULT 1.5)");
            statement.execute("CREATE TABLE book (shelf int, place int, author bigint NOT NULL REFERENCES author "
                + "ON DELETE CASCADE, title text, PRIMARY KEY (place, shelf))");
            statement.execute("CREATE INDEX book_title ON book (title DESC, shelf)");
            statement.execute("CREATE VIEW titles AS SELECT title FROM book");
            statement.execute("COMMENT ON COLUMN author.name IS 'as printed'");
        }
        equal(data.getDatabaseProductName(), "PostgreSQL");
        check(rows(data.getSchemas(), "TABLE_SCHEM").contains("public"), "no schema public");
        check(rows(data.getCatalogs(), "TABLE_CAT").contains("clients"), "no catalog");
        equal(rows(data.getTables(null, "public", "%o%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE"),
            List.of("author TABLE", "book TABLE"));
        equal(rows(data.getTables(null, null, "titles", new String[] {"VIEW"}), "TABLE_NAME"), List.of("titles"));
        equal(rows(data.getColumns(null, "public", "author", null), "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME",
                "COLUMN_SIZE", "DECIMAL_DIGITS", "IS_NULLABLE", "COLUMN_DEF", "REMARKS", "ORDINAL_POSITION",
                "IS_AUTOINCREMENT"),
            List.of("id -5 bigserial 19 0 NO nextval('author_id_seq'::regclass) null 1 YES",
                "name 12 varchar 40 0 NO null as printed 2 NO", "rating 2 numeric 4 1 YES 1.5 null 3 NO"));
        equal(rows(data.getPrimaryKeys(null, "public", "book"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME"),
            List.of("place 1 book_pkey", "shelf 2 book_pkey"));
        String[] key = {"PKTABLE_NAME", "PKCOLUMN_NAME", "FKTABLE_NAME", "FKCOLUMN_NAME", "KEY_SEQ", "DELETE_RULE",
            "FK_NAME", "PK_NAME"};
        List<String> reference = List.of("author id book author 1 0 book_author_fkey author_pkey");
        equal(rows(data.getImportedKeys(null, "public", "book"), key), reference);
        equal(rows(data.getExportedKeys(null, "public", "author"), key), reference);
        equal(rows(data.getCrossReference(null, "public", "author", null, "public", "book"), key), reference);
        equal(rows(data.getIndexInfo(null, "public", "book", false, false), "INDEX_NAME", "NON_UNIQUE",
                "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC"),
            List.of("book_pkey f 1 place A", "book_pkey f 2 shelf A", "book_title t 1 title D",
                "book_title t 2 shelf A"));
        equal(rows(data.getIndexInfo(null, "public", "author", true, false), "INDEX_NAME"),
            List.of("author_name_key", "author_pkey"));
        equal(rows(data.getBestRowIdentifier(null, "public", "author", DatabaseMetaData.bestRowSession, false),
            "COLUMN_NAME"), List.of("id"));
        check(rows(data.getTypeInfo(), "TYPE_NAME").containsAll(List.of("int4", "text", "numeric", "uuid")), "types");
        check(rows(data.getTableTypes(), "TABLE_TYPE").contains("TABLE"), "table types");
        check(rows(data.getTablePrivileges(null, "public", "book"), "PRIVILEGE").contains("SELECT"), "privileges");
        check(rows(data.getFunctions(null, null, "none"), "FUNCTION_NAME").isEmpty(), "functions");
    }

    /** The rows of a result, some of their columns with blanks between them. */
    static List<String> rows(ResultSet result, String... columns) throws SQLException {
        List<String> lines = new ArrayList<>();
        while (result.next()) {
            List<String> fields = new ArrayList<>();
            for (String column : columns) {
                fields.add(String.valueOf(result.getString(column)));
            }
            lines.add(String.join(" ", fields));
        }
        result.close();
        return lines;
    }

    static String one(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            check(rows.next(), "no row");
            return rows.getString(1);
        }
    }

    static String one(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return one(statement);
        }
    }

    static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    interface Action {
        void run() throws SQLException;
    }

    static void fails(String state, Action action) {
        try {
            action.run();
        } catch (SQLException error) {
            equal(error.getSQLState(), state);
            return;
        }
        throw new AssertionError("no error " + state);
    }

    static void equal(Object got, Object expect) {
        check(got == null ? expect == null : got.equals(expect), "got " + got + ", expected " + expect);
    }

    static void check(boolean good, String message) {
        if (!good) {
            throw new AssertionError(message);
        }
    }
}
