// Starts the plugin that npm has without the sfdx around it.
const { run } = require('@oclif/command');

run(process.argv.slice(2), require.resolve('sfdmu/package.json')).catch(require('@oclif/errors/handle'));
