// Answers what an orchestrator asks; the pages come from the application's own build.
const http = require("http");
const port = Number(process.env.PORT);
if (process.argv.includes("--check")) {
  http.get({ port, path: "/api/health/live" }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1))
    .on("error", () => process.exit(1));
} else {
  http.createServer((_, answer) => answer.end("alive\n")).listen(port);
}
