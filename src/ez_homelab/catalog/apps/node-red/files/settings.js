// Node-RED's shipped settings, what a person keeps in /data/settings.js on top of them, and the lab's own key.
const fs = require("fs");

const shipped = require("/usr/src/node-red/node_modules/node-red/settings.js");
const own = fs.existsSync("/data/settings.js") ? require("/data/settings.js") : {};

module.exports = {
    ...shipped,
    // The version comes with the image, so nobody has to be asked which one is the newest.
    telemetry: { enabled: false, updateNotification: false },
    // Encrypts the passwords that flows hold. Without it Node-RED would keep a key of its own beside them.
    credentialSecret: fs.readFileSync("/run/secrets/credential_secret", "utf8").trim(),
    ...own,
};
